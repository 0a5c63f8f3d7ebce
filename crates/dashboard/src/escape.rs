//! How all text gets into a page: inert, and with nothing hidden in it.
//!
//! A log line, a branch or a name can hold characters that cannot be seen, or that turn the order of what is beside
//! them. They are shown as our comments show them: `<U+202E>`.

use std::fmt::{self, Write};

use askama::filters::{Escaper, Html};

/// Escapes for texts and attributes of HTML, and marks what cannot be seen. Ends of lines and tabs stay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        // Nearly every text has nothing to mark and is written at once.
        if text.bytes().all(is_plain) {
            return Html.write_escaped_str(dest, text);
        }
        for part in text.split_inclusive(['\n', '\r']) {
            let line = part.trim_end_matches(['\n', '\r']);
            let end = part.get(line.len()..).unwrap_or_default();
            Html.write_escaped_str(&mut dest, &forge_core::text::visible(line))?;
            dest.write_str(end)?;
        }
        Ok(())
    }
}

/// A byte of ASCII that is seen, or an end of line or tab.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut html = String::new();
        Visible.write_escaped_str(&mut html, text).unwrap();
        html
    }

    #[test]
    fn what_cannot_be_seen_is_marked_and_what_can_be_stays() {
        assert_eq!(shown("a <b> & \"c\"\r\n\td"), "a &#60;b&#62; &#38; &#34;c&#34;\r\n\td");
        assert_eq!(shown("Ошибка é 你好"), "Ошибка é 你好");
        assert_eq!(shown("\u{202e}gnp.exe"), "&#60;U+202E&#62;gnp.exe");
        assert_eq!(
            shown("zero\u{200b}width\nnext\u{feff}"),
            "zero&#60;U+200B&#62;width\nnext&#60;U+FEFF&#62;"
        );
        assert_eq!(shown("\u{1b}[31m\u{0}"), "&#60;U+001B&#62;[31m&#60;U+0000&#62;");
    }
}
