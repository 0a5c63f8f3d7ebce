//! The words of the pages, in each language, from `messages/`.

use std::{collections::BTreeMap, fmt::Display, sync::LazyLock};

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locale {
    En,
    Ru,
}

macro_rules! messages {
    ($folder:literal) => {
        &[
            include_str!(concat!("../messages/", $folder, "/base.toml")),
            include_str!(concat!("../messages/", $folder, "/report.toml")),
            include_str!(concat!("../messages/", $folder, "/connect.toml")),
            include_str!(concat!("../messages/", $folder, "/manage.toml")),
            include_str!(concat!("../messages/", $folder, "/more.toml")),
        ]
    };
}

static EN: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| read(messages!("en")));
static RU: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| read(messages!("ru")));

fn read(files: &[&str]) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    for file in files {
        // A file that is no TOML is found by a test; a page then shows keys.
        let table: toml::Table = file.parse().unwrap_or_default();
        flatten("", &table, &mut words);
    }
    words
}

fn flatten(prefix: &str, table: &toml::Table, words: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(table) => flatten(&key, table, words),
            toml::Value::String(text) => {
                words.insert(key, text.clone());
            }
            _ => {}
        }
    }
}

impl Locale {
    pub(crate) fn from_code(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::En),
            "ru" => Some(Self::Ru),
            _ => None,
        }
    }

    /// The first language of `Accept-Language` that we speak.
    pub(crate) fn from_accepted(header: &str) -> Self {
        header
            .split(',')
            .filter_map(|range| Self::from_code(range.trim().get(..2)?.to_ascii_lowercase().as_str()))
            .next()
            .unwrap_or(Self::En)
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ru => "ru",
        }
    }

    fn words(self) -> &'static BTreeMap<String, String> {
        match self {
            Self::En => &EN,
            Self::Ru => &RU,
        }
    }

    pub(crate) fn find(self, key: &str) -> Option<&'static str> {
        self.words().get(key).map(String::as_str)
    }

    /// The text under `key`; the key itself where there is none, so that a page always shows something.
    pub(crate) fn text(self, key: &str) -> String {
        self.find(key).unwrap_or(key).to_owned()
    }

    /// The text under `key` with `{0}`, `{1}` replaced.
    pub(crate) fn fill(self, key: &str, values: &[&dyn Display]) -> String {
        let mut text = self.text(key);
        for (index, value) in values.iter().enumerate() {
            text = text.replace(&format!("{{{index}}}"), &value.to_string());
        }
        text
    }

    /// The form of `key` for a number: `key.one`, `key.few` (Russian), `key.many`, with `{0}` the number.
    pub(crate) fn count(self, key: &str, number: i64) -> String {
        let form = self.plural(number);
        let shown = thousands(number);
        self.find(&format!("{key}.{form}")).unwrap_or(key).replace("{0}", &shown)
    }

    /// CLDR's plural rules for whole numbers.
    fn plural(self, number: i64) -> &'static str {
        let number = number.unsigned_abs();
        match self {
            Self::En if number == 1 => "one",
            Self::En => "many",
            Self::Ru => match (number % 10, number % 100) {
                (1, rest) if rest != 11 => "one",
                (2..=4, rest) if !(12..=14).contains(&rest) => "few",
                _ => "many",
            },
        }
    }
}

/// 12345 as "12 345", with a narrow space that does not break.
pub(crate) fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    if number < 0 { format!("-{shown}") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_text() {
        let (en, ru) = (Locale::En.words(), Locale::Ru.words());
        assert!(en.len() > 20, "messages were read");
        // Russian has one plural form more.
        let missing: Vec<_> = en.keys().filter(|key| !ru.contains_key(*key)).collect();
        assert!(missing.is_empty(), "missing in Russian: {missing:?}");
        let extra: Vec<_> =
            ru.keys().filter(|key| !en.contains_key(*key) && !key.ends_with(".few")).collect();
        assert!(extra.is_empty(), "missing in English: {extra:?}");
        for key in ru.keys().filter(|key| key.ends_with(".many")) {
            let few = key.replace(".many", ".few");
            assert!(ru.contains_key(&few), "{few} is missing in Russian");
        }
    }

    #[test]
    fn both_languages_fill_the_same_places() {
        for (key, english) in Locale::En.words() {
            let russian = Locale::Ru.text(key);
            for place in ["{0}", "{1}", "{2}"] {
                assert_eq!(english.contains(place), russian.contains(place), "{key}: {place}");
            }
        }
    }

    #[test]
    fn numbers_take_the_form_of_their_language() {
        assert_eq!(Locale::Ru.plural(1), "one");
        assert_eq!(Locale::Ru.plural(3), "few");
        assert_eq!(Locale::Ru.plural(11), "many");
        assert_eq!(Locale::Ru.plural(22), "few");
        assert_eq!(Locale::Ru.plural(112), "many");
        assert_eq!(Locale::En.plural(0), "many");
        assert_eq!(thousands(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
