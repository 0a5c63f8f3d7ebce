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
    let bytes = zip(&[("a.log", &text)]);
    let error = open(Cursor::new(bytes[..bytes.len() / 2].to_vec()), Limits::default()).unwrap_err();
    assert!(matches!(error, ArchiveError::Directory(_)));
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
