//! A baseline as bytes, to be stored beside a job and a branch.
//!
//! Four bytes of name and version, the number of logs, the number of hashes, then the hashes in rising
//! order, each as its distance from the one before. Numbers take seven bits a byte, the lowest first.

use super::{Baseline, TEMPLATE_LIMIT};

const HEADER: &[u8; 4] = b"frb1";

/// Bytes that are no baseline of this version: cut off, changed, or written by another program.
///
/// The remedy is to learn again from the next passing log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are not a baseline of this version; learn it again from passing logs")]
pub struct BaselineError;

impl Baseline {
    /// The most bytes that [`encode`](Self::encode) gives.
    pub const MAX_BYTES: usize = HEADER.len() + 10 + 10 + TEMPLATE_LIMIT * 10;

    /// The baseline as bytes, at most [`MAX_BYTES`](Self::MAX_BYTES) and most often under 8 for each
    /// distinct line. Equal baselines give equal bytes.
    ///
    /// ```
    /// use rca_engine::Baseline;
    /// let mut learner = Baseline::new().learn();
    /// learner.push(b"compiling app v0.1.0\n");
    /// let baseline = learner.finish();
    /// assert_eq!(Baseline::decode(&baseline.encode()), Ok(baseline));
    /// ```
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        put(&mut bytes, u64::from(self.logs));
        put(&mut bytes, self.templates.len() as u64);
        let mut before = 0;
        for &hash in &self.templates {
            put(&mut bytes, hash - before);
            before = hash;
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// Where the bytes are anything else. Nothing is read beyond the limit of a baseline.
    pub fn decode(bytes: &[u8]) -> Result<Self, BaselineError> {
        let mut rest = bytes.strip_prefix(HEADER).ok_or(BaselineError)?;
        let logs = u32::try_from(take(&mut rest)?).map_err(|_| BaselineError)?;
        let count = usize::try_from(take(&mut rest)?).map_err(|_| BaselineError)?;
        if count > TEMPLATE_LIMIT {
            return Err(BaselineError);
        }
        let mut baseline = Self { logs, ..Self::default() };
        let mut before = 0_u64;
        for index in 0..count {
            let distance = take(&mut rest)?;
            before = before.checked_add(distance).ok_or(BaselineError)?;
            if index > 0 && distance == 0 {
                return Err(BaselineError);
            }
            baseline.templates.insert(before);
        }
        if rest.is_empty() { Ok(baseline) } else { Err(BaselineError) }
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Result<u64, BaselineError> {
    let mut number = 0_u64;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(BaselineError)?;
        *bytes = rest;
        // The tenth byte has room for one bit.
        if shift == 63 && byte > 1 {
            return Err(BaselineError);
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            // One number has one form, so that equal baselines are equal bytes.
            return if byte == 0 && shift > 0 { Err(BaselineError) } else { Ok(number) };
        }
    }
    Err(BaselineError)
}
