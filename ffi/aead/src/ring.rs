//! The cipher of the crate ring: runs on every processor.

use crate::{nonce, TAG};
use core::{ptr, slice};
use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey, CHACHA20_POLY1305};

pub type Context = LessSafeKey;

pub fn runs_here() -> bool {
    true
}

pub unsafe fn init(context: *mut Context, key: *const u8) -> bool {
    match UnboundKey::new(&CHACHA20_POLY1305, slice::from_raw_parts(key, 32)) {
        Ok(key) => {
            ptr::write(context, LessSafeKey::new(key));
            true
        }
        Err(_) => false,
    }
}

pub unsafe fn seal(context: &Context, counter: u64, packet: *mut u8, length: usize) -> bool {
    let text = slice::from_raw_parts_mut(packet, length);
    let nonce = Nonce::assume_unique_for_key(nonce(counter));
    match context.seal_in_place_separate_tag(nonce, Aad::empty(), text) {
        Ok(tag) => {
            ptr::copy_nonoverlapping(tag.as_ref().as_ptr(), packet.add(length), TAG);
            true
        }
        Err(_) => false,
    }
}

pub unsafe fn open(context: &Context, counter: u64, target: *mut u8, source: *const u8, length: usize) -> bool {
    let shift = source.offset_from(target) as usize;
    let range = slice::from_raw_parts_mut(target, shift + length);
    let nonce = Nonce::assume_unique_for_key(nonce(counter));
    context.open_within(nonce, Aad::empty(), range, shift..).is_ok()
}
