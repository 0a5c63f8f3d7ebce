//! Any bytes behind any magic are read within the limits.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use rca_engine::archive::{Limits, open};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { total_bytes: 1 << 20, member_bytes: 1 << 19, members: 50, ratio: 1000 };
    let Ok(mut input) = open(Cursor::new(bytes), limits) else { return };
    let mut total = 0;
    let mut members = 0;
    while let Ok(Some(mut member)) = input.next_member() {
        members += 1;
        let mut text = Vec::new();
        if member.read_to_end(&mut text).is_err() {
            break;
        }
        total += text.len();
    }
    assert!(members <= 50);
    assert!(total <= (1 << 20) + 64 * 1024);
    assert!(input.notes().len() <= 102);
});
