//! Against a server in the test itself, on a port of this machine.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::*;

/// What the server does with one request.
#[derive(Clone, Copy)]
enum Answer {
    /// Honours `Range`, sends everything.
    Ranges,
    /// Honours `Range`, announces everything and closes after this many bytes.
    BreaksAfter(usize),
    /// As that, but stays there without a word.
    FallsSilentAfter(usize),
    /// Sends the whole file whatever was asked for.
    NoRanges,
    NotFound,
    Busy,
}

/// Answers one connection for each element, then goes; yields the `Range` header of each request.
fn serve(body: Vec<u8>, answers: Vec<Answer>) -> (String, JoinHandle<Vec<Option<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file.tar.gz", listener.local_addr().unwrap());
    let serve_all = move || {
        let mut seen = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            seen.push(respond(stream, &body, answer));
        }
        seen
    };
    (url, std::thread::spawn(serve_all))
}

fn respond(mut stream: TcpStream, body: &[u8], answer: Answer) -> Option<String> {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let header = |line: &String| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("range").then(|| value.to_owned())
    };
    let range = head.iter().find_map(header);
    let asked = range.as_deref().and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-'));
    let start: usize = asked.map_or(0, |n| n.parse().unwrap());
    let (status, from, sent) = match answer {
        Answer::NotFound => ("404 Not Found", body.len(), 0),
        Answer::Busy => ("503 Service Unavailable", body.len(), 0),
        Answer::NoRanges => ("200 OK", 0, body.len()),
        _ if body.len() <= start => ("416 Range Not Satisfiable", body.len(), 0),
        _ if asked.is_none() => ("200 OK", 0, body.len()),
        _ => ("206 Partial Content", start, body.len()),
    };
    let rest = &body[from..];
    let sent = match answer {
        Answer::BreaksAfter(n) | Answer::FallsSilentAfter(n) => n.min(rest.len()),
        _ => sent.min(rest.len()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", rest.len())
        .unwrap();
    if status.starts_with("206") {
        write!(stream, "Content-Range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len())
            .unwrap();
    }
    stream.write_all(b"\r\n").unwrap();
    stream.write_all(&rest[..sent]).unwrap();
    if let Answer::FallsSilentAfter(_) = answer {
        std::mem::forget(stream);
    }
    range
}

fn body() -> Vec<u8> {
    (0..200_000u32).map(|i| (i * 31 % 253) as u8).collect()
}

fn md5(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x"), bytes).unwrap();
    md5_of(&dir.path().join("x")).unwrap().0
}

struct Case {
    dir: tempfile::TempDir,
    target: PathBuf,
    progress: Vec<(u64, Option<u64>)>,
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("deep/file.tar.gz");
        Self { dir, target, progress: Vec::new() }
    }

    fn fetch(&mut self, url: &str, md5: &str) -> Result<(), DataError> {
        let progress = &mut self.progress;
        fetch(url, md5, &self.target, &mut |done, total| progress.push((done, total)))
    }
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let answers = vec![Answer::BreaksAfter(70_000), Answer::BreaksAfter(50_000), Answer::Ranges];
    let (url, server) = serve(body(), answers);
    let mut case = Case::new();
    case.fetch(&url, &md5(&body())).unwrap();
    assert_eq!(fs::read(&case.target).unwrap(), body());
    assert!(!part_of(&case.target).exists());
    let ranges = server.join().unwrap();
    assert_eq!(ranges, [None, Some("bytes=70000-".to_owned()), Some("bytes=120000-".to_owned())]);
    assert_eq!(case.progress.last(), Some(&(200_000, Some(200_000))));
    assert!(case.progress.is_sorted(), "the progress never runs backwards");
    // A second call finds it done: the server has gone.
    case.fetch(&url, &md5(&body())).unwrap();
}

#[test]
fn a_server_that_falls_silent_is_asked_again() {
    let (url, server) = serve(body(), vec![Answer::FallsSilentAfter(70_000), Answer::Ranges]);
    let case = Case::new();
    let agent = agent(Duration::from_millis(200));
    fetch_through(agent, &url, &md5(&body()), &case.target, &mut |_, _| {}).unwrap();
    assert_eq!(fs::read(&case.target).unwrap(), body());
    assert_eq!(server.join().unwrap(), [None, Some("bytes=70000-".to_owned())]);
}

#[test]
fn what_an_interrupted_call_left_is_gone_on_from() {
    let mut case = Case::new();
    fs::create_dir(case.target.parent().unwrap()).unwrap();
    fs::write(part_of(&case.target), &body()[..1234]).unwrap();
    let (url, server) = serve(body(), vec![Answer::Ranges]);
    case.fetch(&url, &md5(&body())).unwrap();
    assert_eq!(server.join().unwrap(), [Some("bytes=1234-".to_owned())]);
    assert_eq!(fs::read(&case.target).unwrap(), body());
}

#[test]
fn a_server_without_ranges_starts_over_and_a_complete_part_needs_nothing_more() {
    for (kept, answer) in [(999, Answer::NoRanges), (200_000, Answer::Ranges)] {
        let mut case = Case::new();
        fs::create_dir(case.target.parent().unwrap()).unwrap();
        fs::write(part_of(&case.target), &body()[..kept]).unwrap();
        let (url, server) = serve(body(), vec![answer]);
        case.fetch(&url, &md5(&body())).unwrap();
        assert_eq!(fs::read(&case.target).unwrap(), body());
        server.join().unwrap();
    }
}

#[test]
fn a_wrong_md5_is_refused_and_nothing_stays() {
    let (url, server) = serve(body(), vec![Answer::Ranges]);
    let mut case = Case::new();
    let wanted = "0".repeat(32);
    let message = case.fetch(&url, &wanted).unwrap_err().to_string();
    let found =
        format!("found md5 {} in 200000 bytes (removed), allowed: md5 {wanted}", md5(&body()));
    assert_eq!(message, format!("{url}: {found}"));
    assert!(!case.target.exists() && !part_of(&case.target).exists());
    server.join().unwrap();
}

#[test]
fn a_refusal_is_reported_at_once_and_a_busy_server_after_three_tries() {
    let (url, server) = serve(body(), vec![Answer::NotFound]);
    let message = Case::new().fetch(&url, "x").unwrap_err().to_string();
    assert!(message.contains("the server answered 404 Not Found"), "{message}");
    server.join().unwrap();
    let (url, server) =
        serve(body(), vec![Answer::BreaksAfter(10), Answer::Busy, Answer::Busy, Answer::Busy]);
    let mut case = Case::new();
    let message = case.fetch(&url, "x").unwrap_err().to_string();
    assert!(message.contains("503 Service Unavailable"), "{message}");
    assert!(message.ends_with("to go on from 10 bytes"), "{message}");
    assert_eq!(fs::read(part_of(&case.target)).unwrap().len(), 10, "what came is kept");
    server.join().unwrap();
}

#[test]
fn two_processes_do_not_write_the_same_file() {
    let mut case = Case::new();
    fs::create_dir(case.target.parent().unwrap()).unwrap();
    let other = File::create(part_of(&case.target)).unwrap();
    other.lock().unwrap();
    let message = case.fetch("http://127.0.0.1:9/", "x").unwrap_err().to_string();
    assert!(
        message.ends_with("found another process that is fetching it, allowed: one at a time"),
        "{message}"
    );
    assert!(case.dir.path().exists());
}
