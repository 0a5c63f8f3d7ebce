//! Small job logs as CI systems print them, written for tests and demonstrations.

use bytes::{Bytes, BytesMut};

const GREEN_LINE: &[u8] = b"ok: compiled module and ran its checks, nothing to report on this line\n";
const FAILURE: &[u8] = b"error: assertion failed: left == right\nERROR: Job failed: exit code 1\n";

/// Bytes `start..end` of a generated log of `length` bytes: green lines, and the failure at its end.
pub(crate) fn generated_piece(start: u64, end: u64, length: u64) -> Bytes {
    let tail_start = length.saturating_sub(FAILURE.len() as u64);
    let mut piece = BytesMut::with_capacity(usize::try_from(end - start).unwrap_or(0) + GREEN_LINE.len());
    let mut position = start;
    while position < end {
        let rest = if position >= tail_start {
            part(FAILURE, position - tail_start, end - position)
        } else if position + 1 == tail_start {
            b"\n"
        } else {
            let room = (tail_start - 1).min(end) - position;
            part(GREEN_LINE, position % GREEN_LINE.len() as u64, room)
        };
        piece.extend_from_slice(rest);
        position += rest.len() as u64;
    }
    piece.freeze()
}

/// What of `text` begins at `offset`, at most `room` bytes and at least one.
fn part(text: &'static [u8], offset: u64, room: u64) -> &'static [u8] {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let rest = text.get(offset..).filter(|rest| !rest.is_empty()).unwrap_or(b"\n");
    rest.get(..usize::try_from(room).unwrap_or(usize::MAX)).unwrap_or(rest)
}
