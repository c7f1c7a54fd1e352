//! Bodies as handlers and their tests read them.

use std::io::Write;

use super::*;
use crate::{Done, Error, StatusCode};

fn fetched(content: &'static [u8]) -> Body {
    let url = "http://a:1/b".to_owned();
    Body::from(content).sent_by(Origin::Upstream { url, status: StatusCode::OK })
}

#[test]
fn a_malformed_response_is_not_the_clients_mistake() {
    let callee = Origin::Callee { function: "f".to_owned(), status: StatusCode::CREATED };
    for (body, name) in [
        (fetched(b"[1, \xff"), "http://a:1/b: status 200 OK"),
        (Body::from("{").sent_by(callee), "`f`: status 201 Created"),
    ] {
        let error = Error::from(body.json::<Vec<u8>>().expect_err("it is malformed"));
        assert_eq!(error.status_code(), StatusCode::BAD_GATEWAY);
        assert!(error.to_string().starts_with(name), "{error}");
    }
    assert!(matches!(
        fetched(b"\xff").text(),
        Err(BodyError::Upstream { host, status: StatusCode::OK, .. }) if host == "a:1"
    ));
}

#[test]
fn text_is_borrowed_from_the_body() -> Result<()> {
    assert_eq!(Body::from("grüß").text()?, "grüß");
    Ok(())
}

#[test]
fn what_is_not_text_is_the_clients_mistake() {
    let body = Body::from(vec![b'a', 0xff]);
    let error = Error::from(body.text().expect_err("0xff is not UTF-8"));
    assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
}

#[test]
fn json_is_read_into_any_type() -> Result<()> {
    assert_eq!(Body::from("[1, 2]").json::<Vec<u8>>()?, [1, 2]);
    Ok(())
}

#[test]
fn what_is_not_json_is_the_clients_mistake() {
    let error = Body::from("[1, 2").json::<Vec<u8>>().expect_err("it is not closed");
    let error = Error::from(error);
    assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[test]
fn a_body_is_read_piece_by_piece() -> Result<()> {
    let mut body = Body::from("some text");
    let (mut buffer, mut text) = ([0; 4], Vec::new());
    while let read @ 1.. = body.read(&mut buffer)? {
        text.extend_from_slice(&buffer[..read]);
    }
    assert_eq!(text, b"some text");
    assert_eq!(body.size_hint(), Some(0));
    Ok(())
}

#[test]
fn a_written_body_is_written_once() -> Result<()> {
    let mut body = Body::stream(|writer| Ok(writer.event("a", "b")?));
    assert_eq!(format!("{body:?}"), "Body(stream)");
    assert_eq!(body.clone().text()?, "event: a\ndata: b\n\n");
    assert_eq!(body.text()?, "event: a\ndata: b\n\n");
    let mut text = String::new();
    body.read_to_string(&mut text)?;
    assert_eq!(text, "event: a\ndata: b\n\n");
    Ok(())
}

#[test]
fn no_data_ends_an_event() -> Result<()> {
    let events = |name, data| Body::stream(move |writer| Ok(writer.event(name, data)?));
    let text = events("", "1\n\n2\r\n3\rid: 4");
    assert_eq!(text.text()?, "data: 1\ndata: \ndata: 2\ndata: 3\ndata: id: 4\n\n");
    let error = events("a\ndata: forged", "").collect().expect_err("a name of two lines");
    assert_eq!(error, BodyError::Written("an event's name is one line".into()));
    Ok(())
}

#[test]
fn a_vector_comes_out_as_it_went_in() -> Result<()> {
    assert_eq!(Vec::from(Body::from(vec![1, 2, 3]).collect()?), [1, 2, 3]);
    assert!(Body::from(()).collect()?.is_empty());
    Ok(())
}

#[test]
fn the_length_is_known_only_for_what_has_arrived() -> Result<()> {
    assert_eq!(Body::from("four").size_hint(), Some(4));
    let written = Body::stream(|writer| Ok(writer.write_all(b"four")?));
    assert_eq!(written.size_hint(), None);
    written.collect()?;
    assert_eq!(written.size_hint(), Some(4));
    Ok(())
}

#[test]
fn every_read_of_a_failed_body_returns_the_same_error() {
    let mut body = Body::stream(|_| Err(Error::new("it is torn")));
    let error = BodyError::Written("it is torn".to_owned());
    assert_eq!(body.collect(), Err(error.clone()));
    assert_eq!(body.text(), Err(error.clone()));
    assert_eq!(body.check(), Err(error.clone()));
    assert_eq!(body.size_hint(), None);
    let read = Error::from(body.read(&mut [0]).expect_err("it has failed"));
    assert_eq!(read.find(), Some(&error));
    assert_eq!(read.status_code(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn a_writer_that_stops_for_its_context_reports_that() {
    let body = Body::stream(|_| Err(Done::Canceled.into()));
    let error = body.collect().expect_err("the context is done");
    assert_eq!(error, BodyError::Done(Done::Canceled));
    assert_eq!(Error::from(error).done(), Some(Done::Canceled));
}
