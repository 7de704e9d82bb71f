//! The cipher of Intel's Multi-Buffer Crypto for IPsec, version 1.3: for processors with AVX-512 and IFMA, where it
//! takes little more than half of ring's time.
//!
//! What is called here is behind the library's job interface, which would make 13 MB of this file: so it goes with
//! that version and no other, and `libraries.json` names the archive that it is linked from.

use crate::{nonce, TAG};
use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use core::{mem, ptr};

/// The key.
#[repr(C, align(16))]
pub struct Context([u8; 32]);

/// Shorter texts are taken block after block: so they may be opened to any place before. In longer ones, what is behind
/// the 15 blocks that come with the authenticator's key goes by 16 at once, which are not written in their order.
const UNORDERED_FROM: usize = (15 + 16) * 64;

const ENCRYPT: u32 = 1;
const DECRYPT: u32 = 2;
const AVX512_IFMA: u64 = 1 << 17;

/// `IMB_MGR` as far as it is read: `IMB_FEATURE_AVX512_IFMA` chooses how Poly1305 multiplies.
#[repr(C)]
struct Manager {
    flags: u64,
    features: u64,
    unread: [u64; 62],
}

static MANAGER: Manager = Manager {
    flags: 0,
    features: AVX512_IFMA,
    unread: [0; 62],
};

/// `IMB_JOB` of a message: of `hash` and `cipher` offsets and lengths both count from `source`.
#[repr(C)]
struct Job {
    key: *const u8,
    decryption_key: *const u8,
    key_length: u64,
    source: *const u8,
    target: *mut u8,
    cipher_offset: u64,
    cipher_length: u64,
    hash_offset: u64,
    hash_length: u64,
    nonce: *const u8,
    nonce_length: u64,
    tag: *mut u8,
    tag_length: u64,
    associated_data: *const u8,
    associated_data_length: u64,
    context: *const u8,
    status: u32,
    cipher: u32,
    direction: u32,
    hash: u32,
    unused: [u64; 7],
}

const JOB_LENGTH: usize = 200;
const _: () = assert!(mem::size_of::<Job>() == JOB_LENGTH);

#[link(name = "IPSec_MB", kind = "static")]
extern "C" {
    fn aead_chacha20_poly1305_avx512(manager: *const Manager, job: *mut Job) -> *mut Job;
}

/// AVX-512 (F, DQ, BW, VL, IFMA), BMI2 and ADX by the processor, and their registers by the kernel.
pub fn runs_here() -> bool {
    const XSAVE_AND_AVX: u32 = 1 << 27 | 1 << 28;
    const EXTENDED: u32 = 1 << 5 | 1 << 8 | 1 << 16 | 1 << 17 | 1 << 19 | 1 << 21 | 1 << 30 | 1 << 31;
    const STATES: u64 = 0b1110_0110;
    unsafe {
        __cpuid(0).eax >= 7
            && __cpuid(1).ecx & XSAVE_AND_AVX == XSAVE_AND_AVX
            && __cpuid_count(7, 0).ebx & EXTENDED == EXTENDED
            && enabled_states() & STATES == STATES
    }
}

#[target_feature(enable = "xsave")]
unsafe fn enabled_states() -> u64 {
    _xgetbv(0)
}

pub unsafe fn init(context: *mut Context, key: *const u8) -> bool {
    ptr::copy_nonoverlapping(key, context.cast::<u8>(), 32);
    true
}

pub unsafe fn seal(context: &Context, counter: u64, packet: *mut u8, length: usize) -> bool {
    run(context, counter, ENCRYPT, packet, packet, length, packet.add(length));
    true
}

pub unsafe fn open(context: &Context, counter: u64, target: *mut u8, source: *const u8, length: usize) -> bool {
    let length = length - TAG;
    let mut computed = [0; TAG];
    // Read before the text is written, which may lie over it.
    let given = ptr::read_unaligned(source.add(length).cast::<u128>());
    if length < UNORDERED_FROM {
        run(context, counter, DECRYPT, target, source, length, computed.as_mut_ptr());
    } else {
        run(context, counter, DECRYPT, source.cast_mut(), source, length, computed.as_mut_ptr());
        ptr::copy(source, target, length);
    }
    // One comparison of all bits: its time says nothing of where they differ.
    given == u128::from_ne_bytes(computed)
}

/// The target is the source or, of a text shorter than `UNORDERED_FROM`, anywhere before: a block is read whole before
/// it is written.
unsafe fn run(
    context: &Context,
    counter: u64,
    direction: u32,
    target: *mut u8,
    source: *const u8,
    length: usize,
    tag: *mut u8,
) {
    let nonce = nonce(counter);
    let mut job: Job = mem::zeroed();
    job.key = context.0.as_ptr();
    job.source = source;
    job.target = target;
    job.cipher_length = length as u64;
    job.hash_length = length as u64;
    job.nonce = nonce.as_ptr();
    job.nonce_length = nonce.len() as u64;
    job.tag = tag;
    job.tag_length = TAG as u64;
    job.associated_data = nonce.as_ptr();
    job.direction = direction;
    aead_chacha20_poly1305_avx512(&MANAGER, &mut job);
}
