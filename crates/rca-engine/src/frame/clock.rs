//! Timestamps at the start of a line.

/// Seconds since the epoch and the length of an ISO timestamp such as `2024-05-01T10:00:00.123Z` or
/// `2024-05-01 10:00:00.123` at the start of `line`.
pub(crate) fn read(line: &[u8]) -> Option<(u64, usize)> {
    let head = line.get(..19)?;
    let shape = b"dddd-dd-dd?dd:dd:dd";
    for (&byte, &kind) in head.iter().zip(shape) {
        let fits = match kind {
            b'd' => byte.is_ascii_digit(),
            b'?' => byte == b'T' || byte == b' ',
            other => byte == other,
        };
        if !fits {
            return None;
        }
    }
    let number = |from: usize, to: usize| {
        head.get(from..to)?
            .iter()
            .try_fold(0_u64, |sum, byte| Some(sum * 10 + u64::from(byte.checked_sub(b'0')?)))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let seconds = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let mut length = 19;
    if matches!(line.get(length), Some(b'.' | b',')) {
        length += 1;
        while line.get(length).is_some_and(u8::is_ascii_digit) {
            length += 1;
        }
    }
    if line.get(length) == Some(&b'Z') {
        length += 1;
    }
    Some((days(year, month, day) * 86_400 + seconds, length))
}

/// Days since 1970-01-01 in the Gregorian calendar, never negative.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month <= 2 { (year.saturating_sub(1), month + 9) } else { (year, month - 3) };
    let count = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    count.saturating_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn reads_the_known_forms() {
        assert_eq!(read(b"1970-01-02T00:00:01.5Z x"), Some((86_401, 22)));
        assert_eq!(read(b"2024-03-01 00:00:00,123 x"), Some((1_709_251_200, 23)));
        assert_eq!(read(b"2024-03-01"), None);
        assert_eq!(read(b"aaaa-bb-cc dd:ee:ff"), None);
    }
}
