//! ChaCha20-Poly1305 of WireGuard's transport messages, one at a time and in runs.
//!
//! The memory contract is README.md's, and nothing is checked here: whoever calls has checked that every range lies in
//! memory of its own. Nothing is allocated, and nothing is kept but in the contexts that the caller holds.

#![no_std]

#[cfg_attr(feature = "ipsec-mb", path = "ipsec_mb.rs")]
#[cfg_attr(not(feature = "ipsec-mb"), path = "ring.rs")]
mod cipher;

use cipher::{open, seal, Context};
use core::alloc::{GlobalAlloc, Layout};
use core::{mem, ptr};

/// Counts up when an export changes.
const CONTRACT: u32 = 3;

const HEADER: usize = 16;
const TAG: usize = 16;
const OVERHEAD: usize = HEADER + TAG;
const PADDING_MULTIPLE: usize = 16;
const MESSAGE_TRANSPORT: u32 = 4;

/// Counters pass the boundary as floats, which are exact up to here.
const MAXIMUM_COUNTER: u64 = (1 << 53) - 1;
const FORGED: f64 = -1.0;

#[no_mangle]
pub extern "C" fn aead_contract() -> u32 {
    CONTRACT
}

/// 1 where the processor has what the cipher needs; elsewhere nothing else may be called but `aead_contract`.
#[no_mangle]
pub extern "C" fn aead_runs_here() -> u32 {
    u32::from(cipher::runs_here())
}

#[no_mangle]
pub extern "C" fn aead_context_size() -> u32 {
    mem::size_of::<Context>() as u32
}

#[no_mangle]
pub extern "C" fn aead_context_alignment() -> u32 {
    mem::align_of::<Context>() as u32
}

/// Prepares the 32-byte `key` in `context`. Zeros erase it: there is nothing to release.
#[no_mangle]
pub unsafe extern "C" fn aead_init(context: *mut Context, key: *const u8) -> u32 {
    u32::from(cipher::init(context, key))
}

/// Seals `length` bytes at `packet` in place, and writes the tag behind them.
#[no_mangle]
pub unsafe extern "C" fn aead_seal(context: *const Context, counter: f64, packet: *mut u8, length: u32) -> u32 {
    u32::from(seal(&*context, counter as u64, packet, length as usize))
}

/// Opens `length` bytes of ciphertext and tag, 16 or more, at `source`, to `target`: there or anywhere before.
#[no_mangle]
pub unsafe extern "C" fn aead_open(
    context: *const Context,
    counter: f64,
    target: *mut u8,
    source: *const u8,
    length: u32,
) -> u32 {
    u32::from(open(&*context, counter as u64, target, source, length as usize))
}

/// Cuts a payload into transport messages side by side, and seals them. Answers their length together.
#[no_mangle]
pub unsafe extern "C" fn aead_seal_n(
    context: *const Context,
    receiver: u32,
    counter: f64,
    messages: *mut u8,
    stride: u32,
    inner_header: u32,
    payload: *const u8,
    payload_length: u32,
    segment: u32,
) -> u32 {
    let (stride, inner_header, segment) = (stride as usize, inner_header as usize, segment as usize);
    let room = stride - OVERHEAD;
    let mut counter = counter as u64;
    let (mut message, mut payload, mut rest) = (messages, payload, payload_length as usize);
    loop {
        let length = rest.min(segment);
        rest -= length;
        let body = message.add(HEADER);
        if !payload.is_null() {
            ptr::copy_nonoverlapping(payload, body.add(inner_header), length);
            payload = payload.add(length);
        }
        let packet = inner_header + length;
        let whole = (packet + PADDING_MULTIPLE - 1) / PADDING_MULTIPLE * PADDING_MULTIPLE;
        let padded = if rest > 0 { room } else { whole.min(room) };
        ptr::write_bytes(body.add(packet), 0, padded - packet);
        ptr::write_unaligned(message.cast::<u32>(), MESSAGE_TRANSPORT.to_le());
        ptr::write_unaligned(message.add(4).cast::<u32>(), receiver.to_le());
        ptr::write_unaligned(message.add(8).cast::<u64>(), counter.to_le());
        if !seal(&*context, counter, body, padded) {
            return 0;
        }
        if rest == 0 {
            return (message.offset_from(messages) as usize + OVERHEAD + padded) as u32;
        }
        message = message.add(stride);
        counter += 1;
    }
}

/// Opens a run of messages, up to the first that is not transport data for `receiver`: the first to `target`, which is
/// where its text lies or before, the others each a `step` behind. Answers how many it took, and in `results` the
/// counter of each, or -1. `sums`, which may be null, gets the Internet checksum's sum of each text that opened.
#[no_mangle]
pub unsafe extern "C" fn aead_open_n(
    context: *const Context,
    receiver: u32,
    target: *mut u8,
    messages: *mut u8,
    length: u32,
    stride: u32,
    step: u32,
    inner_header: u32,
    inner_headers: *mut u8,
    results: *mut f64,
    sums: *mut u32,
) -> u32 {
    let (stride, step, inner_header) = (stride as usize, step as usize, inner_header as usize);
    let (mut message, mut target) = (messages, target);
    // What lies where the header of the first message would is its own sealed text, or the end of what is before.
    let keeps_first = target != messages.add(HEADER);
    let (mut rest, mut taken) = (length as usize, 0);
    while rest > 0 {
        let length = rest.min(stride);
        if length < OVERHEAD + inner_header
            || u32::from_le(ptr::read_unaligned(message.cast::<u32>())) != MESSAGE_TRANSPORT
            || u32::from_le(ptr::read_unaligned(message.add(4).cast::<u32>())) != receiver
        {
            break;
        }
        let counter = u64::from_le(ptr::read_unaligned(message.add(8).cast::<u64>()));
        if counter > MAXIMUM_COUNTER {
            break;
        }
        let saved = inner_headers.add(taken * inner_header);
        ptr::copy_nonoverlapping(target, saved, inner_header);
        let opened = open(&*context, counter, target, message.add(HEADER), length - HEADER);
        if opened && !sums.is_null() {
            *sums.add(taken) = sum(target, length - OVERHEAD);
        }
        if taken > 0 || keeps_first {
            ptr::swap_nonoverlapping(target, saved, inner_header);
        } else {
            ptr::copy_nonoverlapping(target, saved, inner_header);
        }
        *results.add(taken) = if opened { counter as f64 } else { FORGED };
        taken += 1;
        rest -= length;
        message = message.add(length);
        target = target.add(step);
    }
    taken as u32
}

/// The sum of 16-bit numbers in network order, folded to one and not complemented (RFC 1071). Of an odd length the last
/// byte is the high half of a number. Words are added instead of their halves: 2^16 is 1 modulo 65535.
unsafe fn sum(bytes: *const u8, length: usize) -> u32 {
    const WORD: usize = mem::size_of::<u32>();
    let mut total = 0;
    for i in 0..length / WORD {
        total += u64::from(ptr::read_unaligned(bytes.add(i * WORD).cast::<u32>()));
    }
    let rest = length % WORD;
    let mut last = [0; WORD];
    ptr::copy_nonoverlapping(bytes.add(length - rest), last.as_mut_ptr(), rest);
    total += u64::from(u32::from_ne_bytes(last));
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    u32::from(u16::from_be(total as u16))
}

/// Four zero bytes and the counter (WireGuard paper, section 5.4.6).
fn nonce(counter: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_le_bytes());
    bytes
}

/// ring links `alloc` even without its features, and so an allocator must be there. It is never called.
struct NoMemory;

unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    extern "C" {
        fn abort() -> !;
    }
    unsafe { abort() }
}
