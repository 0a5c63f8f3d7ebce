//! Reads logs as they come: plain, gzip, zstd, or the zip of a run that GitHub serves.
//!
//! [`open`] looks at the first bytes and gives an [`Input`]; its members are read one after the
//! other. Nothing in an archive is trusted: declared sizes are ignored and the produced bytes are
//! counted against [`Limits`], names are labels and never paths, archives inside archives are not
//! opened. What ends early gives what was readable, and [`Input::stopped`] says why.
//!
//! ```
//! use std::io::{Cursor, Read};
//! use rca_engine::archive::{Limits, open};
//!
//! let mut input = open(Cursor::new(b"hello\n"), Limits::default())?;
//! let mut text = String::new();
//! while let Some(mut member) = input.next_member()? {
//!     member.read_to_string(&mut text)?;
//! }
//! assert_eq!(text, "hello\n");
//! assert!(input.stopped().is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cut;

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use cut::Local;

const ZIP: &[u8] = b"PK\x03\x04";
const EMPTY_ZIP: &[u8] = b"PK\x05\x06";
const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
/// The largest zstd window, as a power of two: 128 MiB, the limit of the format's own tool.
const ZSTD_WINDOW: u32 = 27;

/// What an archive may produce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all members together. Default 4 GiB.
    pub total_bytes: u64,
    /// Bytes of one member. Default 2 GiB.
    pub member_bytes: u64,
    /// Members looked at. Default 10,000.
    pub members: usize,
    /// Produced bytes for each byte of the archive, once 16 MiB are produced. Default 1,000.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total_bytes: 4 << 30, member_bytes: 2 << 30, members: 10_000, ratio: 1_000 }
    }
}

/// Notes on members at most.
const NOTES: usize = 100;
/// The bytes below which the ratio is not looked at.
const RATIO_FLOOR: u64 = 16 << 20;

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text, or anything that is not an archive.
    Plain,
    /// One gzip stream or several in a row.
    Gzip,
    /// One zstd stream or several in a row.
    Zstd,
    /// A zip with members.
    Zip,
}

/// Why an archive could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The file cannot be read.
    #[error("cannot read the input: check the file and its permissions")]
    Read(#[source] io::Error),
    /// The directory of a zip is missing or damaged.
    #[error(
        "cannot read the zip's directory: the download may be incomplete, fetch it again or unpack it by hand"
    )]
    Directory(#[source] zip::result::ZipError),
    /// Members of a zip share their data, as only bombs do.
    #[error("members of the zip share their data: it was made to harm, and is not opened")]
    Overlap,
    /// The compressed data ends early or is damaged.
    #[error(
        "compressed data of `{member}` ends early or is damaged: what was readable is used, fetch it again for the rest"
    )]
    Damaged {
        /// The label of the member.
        member: String,
        /// What the decoder said.
        #[source]
        source: io::Error,
    },
    /// A limit was reached.
    #[error("`{member}` produces more than the limit of {what}: raise the limit if the archive is trusted")]
    Limit {
        /// The label of the member.
        member: String,
        /// Which limit.
        what: &'static str,
    },
}

/// An opened input.
pub struct Input<R> {
    format: Format,
    source: Source<R>,
    limits: Limits,
    compressed: u64,
    produced: u64,
    notes: Vec<String>,
    stopped: Option<ArchiveError>,
}

impl<R> std::fmt::Debug for Input<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("format", &self.format)
            .field("limits", &self.limits)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

enum Source<R> {
    Single(Option<Stream<R>>),
    Zip {
        archive: ZipArchive<R>,
        queue: VecDeque<Entry>,
    },
    /// A zip whose directory is missing.
    Cut {
        reader: R,
        members: Vec<Local>,
        queue: VecDeque<Entry>,
    },
}

enum Stream<R> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<R>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<R>>>),
}

struct Entry {
    index: usize,
    name: String,
    job: String,
}

/// Opens an input by its first bytes.
///
/// # Errors
///
/// When the input cannot be read, or a zip's directory is damaged.
pub fn open<R: Read + Seek>(mut reader: R, limits: Limits) -> Result<Input<R>, ArchiveError> {
    let begin = reader.stream_position().map_err(ArchiveError::Read)?;
    let mut start = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut start).map_err(ArchiveError::Read)?;
    let end = reader.seek(SeekFrom::End(0)).map_err(ArchiveError::Read)?;
    reader.seek(SeekFrom::Start(begin)).map_err(ArchiveError::Read)?;
    let format = sniff(&start);
    let mut notes = Vec::new();
    let source = match format {
        Format::Plain => Source::Single(Some(Stream::Plain(reader))),
        Format::Gzip => Source::Single(Some(Stream::Gzip(Box::new(MultiGzDecoder::new(reader))))),
        Format::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(reader).map_err(ArchiveError::Read)?;
            decoder.window_log_max(ZSTD_WINDOW).map_err(ArchiveError::Read)?;
            Source::Single(Some(Stream::Zstd(Box::new(decoder))))
        }
        Format::Zip => {
            match ZipArchive::new(&mut reader) {
                Ok(mut archive) => {
                    if archive.len() <= limits.members && archive.has_overlapping_files().unwrap_or(false) {
                        return Err(ArchiveError::Overlap);
                    }
                }
                Err(error) => {
                    let members = cut::walk(&mut reader, begin, end, limits).map_err(ArchiveError::Read)?;
                    if members.is_empty() {
                        return Err(ArchiveError::Directory(error));
                    }
                    notes.push("the zip's directory is missing, so members may be missing too: the download may be incomplete, fetch it again".to_owned());
                    let files = named(&members, &mut notes);
                    let queue = arrange(files);
                    return Ok(Input {
                        format,
                        source: Source::Cut { reader, members, queue },
                        limits,
                        compressed: end.saturating_sub(begin),
                        produced: 0,
                        notes,
                        stopped: None,
                    });
                }
            }
            reader.seek(SeekFrom::Start(begin)).map_err(ArchiveError::Read)?;
            let mut archive = ZipArchive::new(reader).map_err(ArchiveError::Directory)?;
            let queue = arrange(listed(&mut archive, limits, &mut notes));
            Source::Zip { archive, queue }
        }
    };
    Ok(Input {
        format,
        source,
        limits,
        compressed: end.saturating_sub(begin),
        produced: 0,
        notes,
        stopped: None,
    })
}

fn sniff(start: &[u8]) -> Format {
    if start.starts_with(ZIP) || start.starts_with(EMPTY_ZIP) {
        Format::Zip
    } else if start.starts_with(ZSTD) {
        Format::Zstd
    } else if start.starts_with(GZIP) {
        Format::Gzip
    } else {
        Format::Plain
    }
}

impl<R: Read + Seek> Input<R> {
    /// What the input is.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// What was left out, and why.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Why the last member that was read ended before its end.
    #[must_use]
    pub fn stopped(&self) -> Option<&ArchiveError> {
        self.stopped.as_ref()
    }

    /// The next member. A member that is not read to its end is skipped.
    ///
    /// After a limit on all members no more follow; after a damaged member the next one does.
    ///
    /// # Errors
    ///
    /// When the input itself cannot be read.
    pub fn next_member(&mut self) -> Result<Option<Member<'_>>, ArchiveError> {
        if matches!(self.stopped, Some(ArchiveError::Limit { .. })) {
            return Ok(None);
        }
        let counters = Counters { limits: self.limits, compressed: self.compressed, member: 0 };
        match &mut self.source {
            Source::Single(stream) => {
                let Some(stream) = stream.take() else { return Ok(None) };
                // The stream is read once: the member takes it along.
                let reader: Box<dyn Read + '_> = match stream {
                    Stream::Plain(reader) => Box::new(reader),
                    Stream::Gzip(reader) => reader,
                    Stream::Zstd(reader) => reader,
                };
                let is_plain = self.format == Format::Plain;
                Ok(Some(Member {
                    name: String::new(),
                    job: String::new(),
                    reader,
                    counters,
                    is_plain,
                    produced: &mut self.produced,
                    stopped: &mut self.stopped,
                }))
            }
            Source::Cut { reader, members, queue } => {
                let Some(entry) = queue.pop_front() else { return Ok(None) };
                let Some(local) = members.get(entry.index) else { return Ok(None) };
                let data: Box<dyn Read + '_> = match cut::read(reader, local) {
                    Ok(data) => data,
                    Err(error) => Box::new(Failed(Some(error))),
                };
                Ok(Some(Member {
                    name: entry.name,
                    job: entry.job,
                    reader: data,
                    counters,
                    is_plain: false,
                    produced: &mut self.produced,
                    stopped: &mut self.stopped,
                }))
            }
            Source::Zip { archive, queue } => {
                while let Some(entry) = queue.pop_front() {
                    match is_nested(archive, entry.index) {
                        Ok(false) => {}
                        Ok(true) => {
                            let text = format!(
                                "`{}` is an archive inside the archive and is not opened",
                                entry.name
                            );
                            note(&mut self.notes, text);
                            continue;
                        }
                        Err(error) => {
                            note(&mut self.notes, format!("`{}` cannot be read: {error}", entry.name));
                            continue;
                        }
                    }
                    // It could be opened a moment ago.
                    let file = archive.by_index(entry.index).map_err(ArchiveError::Directory)?;
                    return Ok(Some(Member {
                        name: entry.name,
                        job: entry.job,
                        reader: Box::new(file),
                        counters,
                        is_plain: false,
                        produced: &mut self.produced,
                        stopped: &mut self.stopped,
                    }));
                }
                Ok(None)
            }
        }
    }
}

/// A member that cannot be unpacked.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Whether a member is an archive itself.
fn is_nested<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
) -> Result<bool, zip::result::ZipError> {
    let mut start = Vec::new();
    // Damaged data is reported when the member is read.
    let _ = archive.by_index(index)?.take(4).read_to_end(&mut start);
    Ok(sniff(&start) != Format::Plain)
}

struct Counters {
    limits: Limits,
    compressed: u64,
    member: u64,
}

/// One log. Reading ends at its end, at a limit, or where the data is damaged; see [`Input::stopped`].
pub struct Member<'a> {
    name: String,
    job: String,
    reader: Box<dyn Read + 'a>,
    counters: Counters,
    is_plain: bool,
    produced: &'a mut u64,
    stopped: &'a mut Option<ArchiveError>,
}

impl std::fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Member<'_> {
    /// The label of the member in its archive; empty for a single stream. Never a path to open.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The job that the member belongs to. Members of one job follow each other in the order of
    /// its steps and make one log together.
    #[must_use]
    pub fn job(&self) -> &str {
        &self.job
    }
}

impl Read for Member<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stopped.is_some() {
            return Ok(0);
        }
        let length = match self.reader.read(buffer) {
            Ok(length) => length,
            Err(error) if self.is_plain || error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(source) => {
                *self.stopped = Some(ArchiveError::Damaged { member: self.name.clone(), source });
                return Ok(0);
            }
        };
        let added = u64::try_from(length).unwrap_or(u64::MAX);
        self.counters.member += added;
        *self.produced += added;
        let limits = self.counters.limits;
        let what = if *self.produced > limits.total_bytes {
            "bytes in total"
        } else if self.counters.member > limits.member_bytes {
            "bytes of one member"
        } else if !self.is_plain
            && *self.produced > RATIO_FLOOR
            && *self.produced / self.counters.compressed.max(1) > limits.ratio
        {
            "the compression ratio"
        } else {
            return Ok(length);
        };
        *self.stopped = Some(ArchiveError::Limit { member: self.name.clone(), what });
        Ok(0)
    }
}

/// The members of the directory that can be logs, with their labels.
fn listed<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    limits: Limits,
    notes: &mut Vec<String>,
) -> Vec<(usize, String)> {
    if archive.len() > limits.members {
        notes.push(format!(
            "the archive has {} members; the first {} are looked at",
            archive.len(),
            limits.members
        ));
    }
    let mut files: Vec<(usize, String)> = Vec::new();
    for index in 0..archive.len().min(limits.members) {
        let entry = match archive.by_index_data(index) {
            Ok(entry) => entry,
            Err(error) => {
                note(notes, format!("member {} cannot be opened and is skipped: {error}", index + 1));
                continue;
            }
        };
        let name = String::from_utf8_lossy(entry.name_raw()).replace('\\', "/");
        if entry.is_dir() {
            continue;
        }
        match refusal(&name, entry.encrypted(), entry.is_symlink()) {
            Some(reason) => note(notes, format!("a member {reason} and is skipped: {name:?}")),
            None => files.push((index, name)),
        }
    }
    files
}

/// The same for members that were found by their headers.
fn named(members: &[Local], notes: &mut Vec<String>) -> Vec<(usize, String)> {
    let mut files = Vec::new();
    for (index, local) in members.iter().enumerate().filter(|(_, local)| !local.name.ends_with('/')) {
        match refusal(&local.name, local.is_encrypted, false) {
            Some(reason) => note(notes, format!("a member {reason} and is skipped: {:?}", local.name)),
            None => files.push((index, local.name.clone())),
        }
    }
    files
}

/// Why a member is not read.
fn refusal(name: &str, is_encrypted: bool, is_link: bool) -> Option<&'static str> {
    if is_encrypted {
        Some("is encrypted")
    } else if is_link {
        Some("is a link")
    } else if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        Some("has a name that points out of the archive")
    } else {
        None
    }
}

/// Adds a note; an archive of odd members does not fill the memory with them.
fn note(notes: &mut Vec<String>, text: String) {
    match notes.len().cmp(&NOTES) {
        Ordering::Less => notes.push(text),
        Ordering::Equal => notes.push("further members are skipped without a note".to_owned()),
        Ordering::Greater => {}
    }
}

/// The members in the order in which they are read. GitHub's zip of a run has `<n>_<job>.txt` for a
/// whole job at the top and `<job>/<n>_<step>.txt` for its steps (GitHub docs, "Using workflow run
/// logs"): the whole log wins.
fn arrange(files: Vec<(usize, String)>) -> VecDeque<Entry> {
    let whole: BTreeSet<String> = files
        .iter()
        .filter(|(_, name)| !name.contains('/'))
        .filter_map(|(_, name)| number(name))
        .map(|(_, job)| label(job))
        .collect();
    let mut entries: Vec<(u64, String, u64, Entry)> = Vec::new();
    for (index, name) in files {
        let (order, job, step) = match name.split_once('/') {
            Some((job, step)) if !whole.contains(&label(job)) => {
                (u64::MAX, job.to_owned(), number(step).map_or(u64::MAX, |(step, _)| step))
            }
            Some(_) => continue,
            None => number(&name)
                .map_or_else(|| (u64::MAX, name.clone(), 0), |(order, job)| (order, job.to_owned(), 0)),
        };
        entries.push((order, job.clone(), step, Entry { index, name, job }));
    }
    entries.sort_by(|left, right| {
        (left.0, &left.1, left.2, &left.3.name).cmp(&(right.0, &right.1, right.2, &right.3.name))
    });
    entries.into_iter().map(|(_, _, _, entry)| entry).collect()
}

/// The number and the rest of `<n>_<rest>.txt`.
fn number(name: &str) -> Option<(u64, &str)> {
    let (digits, rest) = name.split_once('_')?;
    Some((digits.parse().ok()?, rest.strip_suffix(".txt").unwrap_or(rest)))
}

/// A job's name without what the forge drops from file names.
fn label(job: &str) -> String {
    job.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
