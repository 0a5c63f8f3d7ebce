use std::io::{Cursor, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use rca_engine::archive::{ArchiveError, Format, Input, Limits, open};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn read_all(input: &mut Input<Cursor<Vec<u8>>>) -> Vec<(String, String, String)> {
    let mut members = Vec::new();
    while let Some(mut member) = input.next_member().unwrap() {
        let mut text = Vec::new();
        member.read_to_end(&mut text).unwrap();
        members.push((
            member.name().to_owned(),
            member.job().to_owned(),
            String::from_utf8_lossy(&text).into_owned(),
        ));
    }
    members
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn opened(bytes: Vec<u8>) -> Input<Cursor<Vec<u8>>> {
    open(Cursor::new(bytes), Limits::default()).unwrap()
}

#[test]
fn every_format_is_known_by_its_first_bytes() {
    for (bytes, format) in [
        (b"log\n".to_vec(), Format::Plain),
        (gzip(b"log\n"), Format::Gzip),
        ([gzip(b"lo"), gzip(b"g\n")].concat(), Format::Gzip),
        (zstd::encode_all(&b"log\n"[..], 1).unwrap(), Format::Zstd),
        (zip(&[("a.log", b"log\n")]), Format::Zip),
    ] {
        let mut input = opened(bytes);
        assert_eq!(input.format(), format);
        assert_eq!(read_all(&mut input).pop().unwrap().2, "log\n");
        assert!(input.stopped().is_none());
    }
}

#[test]
fn the_zip_of_a_run_gives_whole_jobs_and_else_steps_in_order() {
    let mut input = opened(zip(&[
        ("10_test (a, b).txt", b"ten"),
        ("2_build.txt", b"two"),
        ("build/1_Set up.txt", b"no"),
        ("test (a, b)/1_Set up.txt", b"no"),
        ("lint/10_End.txt", b"end"),
        ("lint/2_Run.txt", b"run"),
    ]));
    let members: Vec<_> = read_all(&mut input).into_iter().map(|(_, job, text)| (job, text)).collect();
    let expected = [("build", "two"), ("test (a, b)", "ten"), ("lint", "run"), ("lint", "end")]
        .map(|(job, text)| (job.to_owned(), text.to_owned()));
    assert_eq!(members, expected);
}

#[test]
fn what_is_cut_off_gives_what_was_readable() {
    let text: Vec<u8> = (0..60_000_u32)
        .flat_map(|number| format!("{}\n", number.wrapping_mul(2_654_435_761)).into_bytes())
        .collect();
    for bytes in [gzip(&text), zstd::encode_all(&text[..], 1).unwrap()] {
        let mut input = opened(bytes[..bytes.len() / 2].to_vec());
        let members = read_all(&mut input);
        assert!(!members[0].2.is_empty() && text.starts_with(members[0].2.as_bytes()));
        assert!(matches!(input.stopped(), Some(ArchiveError::Damaged { .. })));
    }
}

#[test]
fn a_zip_without_its_directory_gives_the_members_that_are_there() {
    let text: Vec<u8> = (0..60_000_u32)
        .flat_map(|number| format!("{}\n", number.wrapping_mul(2_654_435_761)).into_bytes())
        .collect();
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for options in [SimpleFileOptions::default(), stored] {
        // Written to a stream, the sizes stand behind the data.
        for is_stream in [false, true].into_iter().filter(|is_stream| !is_stream || options != stored) {
            let mut bytes = Vec::new();
            let files = [("2_b.txt", &text), ("1_a.txt", &text), ("../up.txt", &text), ("3_c.txt", &text)];
            if is_stream {
                let mut writer = ZipWriter::new_stream(&mut bytes);
                for (name, text) in files {
                    writer.start_file(name, options).unwrap();
                    writer.write_all(text).unwrap();
                }
                writer.finish().unwrap();
            } else {
                let mut writer = ZipWriter::new(Cursor::new(&mut bytes));
                for (name, text) in files {
                    writer.start_file(name, options).unwrap();
                    writer.write_all(text).unwrap();
                }
                writer.finish().unwrap();
            }
            let mut input = opened(bytes[..bytes.len() * 7 / 8].to_vec());
            let members = read_all(&mut input);
            let jobs: Vec<&str> = members.iter().map(|member| member.1.as_str()).collect();
            assert_eq!(jobs, ["a", "b", "c"]);
            assert_eq!(members[0].2.as_bytes(), text);
            assert_eq!(members[1].2.as_bytes(), text);
            assert!(!members[2].2.is_empty() && text.starts_with(members[2].2.as_bytes()));
            assert!(matches!(input.stopped(), Some(ArchiveError::Damaged { .. })));
            assert_eq!(input.notes().len(), 2, "{:?}", input.notes());
        }
    }
    let error = open(Cursor::new(b"PK\x03\x04".to_vec()), Limits::default()).unwrap_err();
    assert!(matches!(error, ArchiveError::Directory(_)));
}

#[test]
fn what_a_header_claims_is_not_believed() {
    // The unpacked size in the directory and in the header is a lie.
    let mut bytes = zip(&[("1_a.txt", b"a log of some length\n")]);
    let at = memchr::memmem::rfind(&bytes, b"PK\x01\x02").unwrap();
    for place in [22, at + 24] {
        bytes[place..place + 4].copy_from_slice(&1_000_000_000_u32.to_le_bytes());
    }
    let mut input = opened(bytes);
    assert!(read_all(&mut input)[0].2.len() <= 21);

    // Both entries of the directory lead to the same data.
    let mut bytes = zip(&[("1_a.txt", b"one\n"), ("2_b.txt", b"two\n")]);
    let at = memchr::memmem::rfind(&bytes, b"PK\x01\x02").unwrap();
    bytes[at + 42..at + 46].copy_from_slice(&0_u32.to_le_bytes());
    let error = open(Cursor::new(bytes), Limits::default()).unwrap_err();
    assert!(matches!(error, ArchiveError::Overlap), "{error:?}");

    // Encrypted, by the flag in both places.
    let mut bytes = zip(&[("1_a.txt", b"one\n"), ("2_b.txt", b"two\n")]);
    let at = memchr::memmem::find(&bytes, b"PK\x01\x02").unwrap();
    bytes[6] |= 1;
    bytes[at + 8] |= 1;
    let mut input = opened(bytes);
    assert_eq!(read_all(&mut input).into_iter().map(|member| member.2).collect::<Vec<_>>(), ["two\n"]);
    assert!(input.notes()[0].contains("encrypted"), "{:?}", input.notes());
}

#[test]
fn a_hundred_thousand_members_are_read_up_to_the_limit() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for number in 0..100_000 {
        writer.start_file(format!("{number}_job.txt"), options).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let mut input = opened(bytes.clone());
    assert_eq!(read_all(&mut input).len(), Limits::default().members);
    assert!(input.notes()[0].contains("100000 members"));
    // The same without the directory.
    let at = memchr::memmem::find(&bytes, b"PK\x01\x02").unwrap();
    let mut input = opened(bytes[..at].to_vec());
    assert_eq!(read_all(&mut input).len(), Limits::default().members);
}

#[test]
fn bombs_stop_at_each_limit() {
    let zeros = vec![0; 40 << 20];
    let cases = [
        (Limits { total_bytes: 1 << 20, ..Limits::default() }, "in total"),
        (Limits { member_bytes: 1 << 20, ..Limits::default() }, "one member"),
        (Limits { ratio: 100, ..Limits::default() }, "ratio"),
    ];
    for bytes in [gzip(&zeros), zip(&[("a", &zeros), ("b", b"b")])] {
        for (limits, what) in cases {
            let mut input = open(Cursor::new(bytes.clone()), limits).unwrap();
            let members = read_all(&mut input);
            assert_eq!(members.len(), 1);
            assert!(members[0].2.len() <= 17 << 20);
            assert!(input.stopped().unwrap().to_string().contains(what));
        }
    }
    let mut input = open(
        Cursor::new(zip(&[("a", b"a"), ("b", b"b"), ("c", b"c")])),
        Limits { members: 2, ..Limits::default() },
    )
    .unwrap();
    assert_eq!(read_all(&mut input).len(), 2);
    assert_eq!(input.notes().len(), 1);
}

#[test]
fn links_outside_names_and_nested_archives_are_left_out() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    for (name, text) in [("../up.txt", b"up".to_vec()), ("in.gz", gzip(b"x")), ("ok.txt", b"ok".to_vec())] {
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(&text).unwrap();
    }
    let mut input = opened(writer.finish().unwrap().into_inner());
    assert_eq!(read_all(&mut input).into_iter().map(|member| member.2).collect::<Vec<_>>(), ["ok"]);
    assert_eq!(input.notes().len(), 3);
}
