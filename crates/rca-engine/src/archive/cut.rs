//! A zip without its directory, as a broken download leaves it: the members are found by the header
//! that stands in front of each (PKWARE, APPNOTE.TXT, 4.3.7).

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::DeflateDecoder;

use super::{Limits, RATIO_FLOOR, ZIP};

const HEADER: usize = 30;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Bit 0 of the flags: the member is encrypted.
const ENCRYPTED: u16 = 1;
/// Bit 3 of the flags: the sizes stand behind the data.
const SIZES_FOLLOW: u16 = 8;

/// A member found by its header.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) name: String,
    pub(super) is_encrypted: bool,
    offset: u64,
    method: u16,
    /// Packed bytes, where the header says so.
    length: Option<u64>,
}

/// The members from `begin` on, as far as one follows the other.
pub(super) fn walk<R: Read + Seek>(
    reader: &mut R,
    begin: u64,
    end: u64,
    limits: Limits,
) -> io::Result<Vec<Local>> {
    let mut found = Vec::new();
    let mut at = begin;
    let mut produced = 0;
    while found.len() < limits.members {
        reader.seek(SeekFrom::Start(at))?;
        let Some(local) = header(reader, at)? else { break };
        let next = match local.length {
            Some(length) => local.offset.saturating_add(length),
            // Only unpacking tells where the data ends.
            None if local.method == DEFLATED && !local.is_encrypted => {
                match packed_length(reader, end - begin, limits, &mut produced)? {
                    Some(length) => local.offset + length,
                    None => u64::MAX,
                }
            }
            None => u64::MAX,
        };
        found.push(local);
        if next >= end {
            break;
        }
        // A descriptor of 12 to 24 bytes may stand behind the data.
        reader.seek(SeekFrom::Start(next))?;
        let mut tail = Vec::new();
        reader.by_ref().take(28).read_to_end(&mut tail)?;
        let Some(gap) = memchr::memmem::find(&tail, ZIP) else { break };
        at = next + gap as u64;
    }
    Ok(found)
}

/// The data of a member.
pub(super) fn read<'a, R: Read + Seek>(reader: &'a mut R, local: &Local) -> io::Result<Box<dyn Read + 'a>> {
    reader.seek(SeekFrom::Start(local.offset))?;
    let packed = Whole { left: local.length, reader };
    match local.method {
        STORED if local.length.is_some() => Ok(Box::new(packed)),
        DEFLATED => Ok(Box::new(DeflateDecoder::new(BufReader::new(packed)))),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "its packing is not known")),
    }
}

/// A part of the input that must not end early.
struct Whole<'a, R> {
    left: Option<u64>,
    reader: &'a mut R,
}

impl<R: Read> Read for Whole<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self
            .left
            .map_or(buffer.len(), |left| buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        if room == 0 {
            return Ok(0);
        }
        let length = self.reader.read(buffer.get_mut(..room).unwrap_or_default())?;
        match &mut self.left {
            Some(_) if length == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(left) => *left -= length as u64,
            None => {}
        }
        Ok(length)
    }
}

fn header<R: Read>(reader: &mut R, at: u64) -> io::Result<Option<Local>> {
    let mut head = Vec::new();
    reader.by_ref().take(HEADER as u64).read_to_end(&mut head)?;
    if head.len() < HEADER || !head.starts_with(ZIP) {
        return Ok(None);
    }
    let short = |at: usize| match head.get(at..at + 2) {
        Some(&[low, high]) => u16::from_le_bytes([low, high]),
        _ => 0,
    };
    let long = |at: usize| u64::from(short(at)) | u64::from(short(at + 2)) << 16;
    let (flags, method, packed) = (short(6), short(8), long(18));
    let (name_length, extra) = (u64::from(short(26)), u64::from(short(28)));
    let mut name = Vec::new();
    reader.by_ref().take(name_length).read_to_end(&mut name)?;
    if (name.len() as u64) < name_length {
        return Ok(None);
    }
    // A larger member has its size in an extra field; unpacking tells where it ends.
    let is_told = flags & SIZES_FOLLOW == 0 && packed != u64::from(u32::MAX);
    reader.by_ref().take(extra).read_to_end(&mut Vec::new())?;
    Ok(Some(Local {
        name: String::from_utf8_lossy(&name).replace('\\', "/"),
        is_encrypted: flags & ENCRYPTED != 0,
        offset: at + HEADER as u64 + name_length + extra,
        method,
        length: is_told.then_some(packed),
    }))
}

/// How many packed bytes the stream at the reader's place has; nothing when it ends early, is
/// damaged, or produces more than the limits allow.
fn packed_length<R: Read>(
    reader: &mut R,
    compressed: u64,
    limits: Limits,
    produced: &mut u64,
) -> io::Result<Option<u64>> {
    let mut decoder = DeflateDecoder::new(BufReader::new(reader));
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return Ok(Some(decoder.total_in())),
            Ok(length) => *produced += length as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(None),
        }
        if *produced > limits.total_bytes
            || *produced > RATIO_FLOOR && *produced / compressed.max(1) > limits.ratio
        {
            return Ok(None);
        }
    }
}
