//! What use cases say (reasons, problems, remedies, refusals) in the reader's language.
//!
//! The API says these in English, and old rows hold them so. Each is known by its English text, with what varies left
//! open, as in `messages/ru/said.toml`; what is not known stays English, which is better than nothing.

use std::{borrow::Cow, sync::LazyLock};

use serde::Deserialize;

use crate::locale::Locale;

#[derive(Debug, Deserialize)]
struct Catalogue {
    said: Vec<Text>,
}

#[derive(Debug, Deserialize)]
struct Text {
    en: String,
    ru: String,
    /// How it stands in the source, where it is put together there.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the test that looks whether it is still said"))]
    by: Option<String>,
    /// What stands around the open places, in order.
    #[serde(skip)]
    around: Vec<String>,
}

static TEXTS: LazyLock<Vec<Text>> = LazyLock::new(|| {
    // A file that is no TOML is found by a test; texts then stay English.
    let catalogue: Option<Catalogue> = toml::from_str(include_str!("../messages/ru/said.toml")).ok();
    let mut texts = catalogue.map(|catalogue| catalogue.said).unwrap_or_default();
    for text in &mut texts {
        text.around = around(&text.en);
    }
    // Where several fit, the one that says the most does.
    texts.sort_by_key(|text| std::cmp::Reverse(text.around.iter().map(String::len).sum::<usize>()));
    texts
});

/// What stands around `{0}`, `{1}` and so on, which come in this order.
fn around(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    for number in 0.. {
        let Some((before, after)) = rest.split_once(&format!("{{{number}}}")) else { break };
        parts.push(before.to_owned());
        rest = after;
    }
    parts.push(rest.to_owned());
    parts
}

/// `text`, said by a use case, in this language.
pub(crate) fn translated(locale: Locale, text: &str) -> Cow<'_, str> {
    if locale == Locale::En {
        return Cow::Borrowed(text);
    }
    // Several reasons stand in one line, unless the line is one text that holds a semicolon itself.
    let parts: Vec<&str> = text.split("; ").collect();
    if let Some(whole) = found(text, |known| parts.len() == 1 || known.en.contains("; ")) {
        return Cow::Owned(whole);
    }
    let known: Vec<Option<String>> = parts.iter().map(|part| one(part)).collect();
    if known.iter().all(Option::is_none) {
        return Cow::Borrowed(text);
    }
    let said = parts.into_iter().zip(known).map(|(part, known)| known.unwrap_or_else(|| part.to_owned()));
    Cow::Owned(said.collect::<Vec<_>>().join("; "))
}

fn one(text: &str) -> Option<String> {
    found(text, |_| true)
}

fn found(text: &str, is_meant: impl Fn(&Text) -> bool) -> Option<String> {
    let mut meant = TEXTS.iter().filter(|known| is_meant(known));
    let (found, values) = meant.find_map(|known| Some((known, open(&known.around, text)?)))?;
    // From the last on, so that no place is looked for in what a value brings.
    let mut said = String::new();
    let mut rest = found.ru.as_str();
    while let Some(at) = rest.find('{') {
        let (before, place) = rest.split_at(at);
        said.push_str(before);
        let number = place.get(1..2).and_then(|digit| digit.parse::<usize>().ok());
        match number.and_then(|number| values.get(number)) {
            Some(value) => said.push_str(&listed(value)),
            None => said.push_str(place.get(..3).unwrap_or_default()),
        }
        rest = place.get(3..).unwrap_or_default();
    }
    said.push_str(rest);
    Some(said)
}

/// A value may itself be something that is said, or several of these. One word is a name.
fn listed(value: &str) -> String {
    if !value.contains(' ') {
        return value.to_owned();
    }
    if let Some(whole) = one(value) {
        return whole;
    }
    let items: Option<Vec<String>> = value.split(", ").map(one).collect();
    items.map_or_else(|| value.to_owned(), |items| items.join(", "))
}

/// The values in the open places, where `text` has this form. None of them is empty.
fn open<'t>(around: &[String], text: &'t str) -> Option<Vec<&'t str>> {
    let (first, others) = around.split_first()?;
    let mut rest = text.strip_prefix(first.as_str())?;
    let Some((last, middle)) = others.split_last() else { return rest.is_empty().then(Vec::new) };
    let mut values = Vec::new();
    for part in middle {
        let (value, after) = rest.split_once(part.as_str())?;
        values.push(value);
        rest = after;
    }
    values.push(rest.strip_suffix(last.as_str())?);
    values.iter().all(|value| !value.is_empty()).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn russian(text: &str) -> String {
        translated(Locale::Ru, text).into_owned()
    }

    #[test]
    fn what_is_said_is_translated_with_its_values() {
        assert_eq!(russian("the repository is not monitored"), "репозиторий не отслеживается");
        assert_eq!(russian("the log was erased at the forge"), "лог в форже стёрт");
        assert_eq!(russian("run {1} of the forge did not fail"), "запуск {1} в форже не упал");
        assert_eq!(russian("since: is not before until"), "since: должно быть раньше конца срока");
        assert_eq!(
            russian("the hook of a/b fails: the hook was removed at the forge"),
            "хук репозитория a/b не работает: хук удалён в форже"
        );
        assert_eq!(
            russian("the log names no place in the source; no green run of the job is known on main; так"),
            "в логе не названо ни одного места в исходном коде; зелёных запусков задания на main не известно; так"
        );
        assert_eq!(
            russian("the credential lacks the scopes api: it cannot manage hooks, comment"),
            "у доступа нет прав api: нельзя управлять хуками, комментировать"
        );
        assert_eq!(
            russian(
                "cannot call the webhook: the channel is gone (status 410) (hint: set the channel up again)"
            ),
            "канала больше нет (статус 410). Что делать: настройте канал заново"
        );
        assert_eq!(
            russian("no green run of the job is known on comment"),
            "зелёных запусков задания на comment не известно"
        );
        assert_eq!(
            russian(
                "main was green at noon, but other changes came since; what changed could not be read: too many requests (status 429)"
            ),
            "main: зелёный noon, но с тех пор были и другие изменения; не удалось прочитать, что изменилось: слишком много запросов (статус 429)"
        );
        assert_eq!(russian("something new: 5"), "something new: 5");
        assert_eq!(translated(Locale::En, "the run did not fail"), "the run did not fail");
    }

    #[test]
    fn every_text_keeps_its_places_and_is_there_once() {
        assert!(TEXTS.len() > 80, "the file was read");
        let mut known = std::collections::BTreeSet::new();
        for text in TEXTS.iter() {
            assert!(known.insert(&text.en), "{} is there twice", text.en);
            for number in 0..text.around.len() {
                let place = format!("{{{number}}}");
                // What only repeats the heading above may be left out.
                let is_known = text.en.contains(&place) || !text.ru.contains(&place);
                assert!(is_known, "{}: {place}", text.en);
            }
        }
    }

    /// A text that no use case says any more, or says in other words, would stay English unseen.
    #[test]
    fn the_english_texts_are_those_of_the_use_cases() {
        fn read(folder: &std::path::Path, all: &mut String) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    read(&path, all);
                } else if path.extension().is_some_and(|it| it == "rs") {
                    all.push_str(&std::fs::read_to_string(&path).unwrap());
                }
            }
        }
        let mut sources = String::new();
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for entry in std::fs::read_dir(crates).unwrap() {
            let folder = entry.unwrap().path();
            let own = folder.ends_with("dashboard");
            let folder = folder.join(if own { "src/pages" } else { "src" });
            if folder.is_dir() {
                read(&folder, &mut sources);
            }
        }
        // Lines that go on after a backslash are one text.
        let sources: String = sources.split("\\\n").map(str::trim_start).collect();
        let missing: Vec<&str> = TEXTS
            .iter()
            .filter(|text| {
                let longest = text.around.iter().max_by_key(|part| part.len()).map(String::as_str);
                // What follows the name of a field is said alone.
                let longest = longest.unwrap_or_default().trim_start_matches(": ");
                !sources.contains(text.by.as_deref().unwrap_or(longest))
            })
            .map(|text| text.en.as_str())
            .collect();
        assert!(missing.is_empty(), "nobody says any more: {missing:#?}");
    }
}
