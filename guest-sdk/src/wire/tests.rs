//! Round trips through an encoder and a decoder that only tests need, and invalid bytes.

use proptest::prelude::*;

use super::*;

type Pair = (String, Vec<u8>);

/// Encodes the head of a request, as the host does.
fn encode_request(length: u64, method: &str, uri: &str, headers: &[Pair]) -> Bytes {
    let mut out = length.to_le_bytes().to_vec();
    out.field(method.as_bytes());
    out.field(uri.as_bytes());
    encode_pairs(&mut out, headers);
    out.into()
}

fn encode_pairs(out: &mut Vec<u8>, pairs: &[Pair]) {
    out.pairs(pairs.len(), pairs.iter().map(|(name, value)| (name.as_bytes(), &**value)));
}

/// Decodes the head of a response, as the host does.
fn decode_response(bytes: &[u8]) -> Option<(u16, HeaderMap)> {
    let bytes = Bytes::copy_from_slice(bytes);
    let mut reader = Reader(&bytes);
    let status = reader.u16()?;
    let headers = headers(&mut reader, &bytes)?;
    reader.0.is_empty().then_some((status, headers))
}

/// Decodes the head of a call, as the host does.
fn decode_call(bytes: &[u8]) -> Option<(String, String, HeaderMap)> {
    let bytes = Bytes::copy_from_slice(bytes);
    let mut reader = Reader(&bytes);
    let (method, target) = (text(&mut reader)?, text(&mut reader)?);
    let headers = headers(&mut reader, &bytes)?;
    reader.0.is_empty().then_some((method, target, headers))
}

/// Encodes the result of a call that has a response, as the host does.
fn encode_result(status: u16, headers: &[Pair], body: &[u8]) -> Bytes {
    let mut out = status.to_le_bytes().to_vec();
    encode_pairs(&mut out, headers);
    out.extend_from_slice(body);
    out.into()
}

/// Encodes the result of a call that has no response.
fn encode_failure(fields: [&str; 3]) -> Bytes {
    let mut out = vec![0; 2];
    fields.iter().for_each(|field| out.field(field.as_bytes()));
    out.into()
}

fn owned_pairs(headers: &HeaderMap) -> Vec<Pair> {
    let owned = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    headers.iter().map(owned).collect()
}

/// Generates header pairs in the order in which a map returns them: by name.
fn some_headers() -> impl Strategy<Value = Vec<Pair>> {
    let name = "[a-z][a-z0-9-]{0,40}";
    let value = prop::collection::vec(prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8], 0..100);
    prop::collection::btree_map(name, value, 0..40).prop_map(|map| map.into_iter().collect())
}

fn sorted(mut pairs: Vec<Pair>) -> Vec<Pair> {
    pairs.sort();
    pairs
}

proptest! {
    #[test]
    fn a_request_is_decoded_as_it_was_encoded(
        length: u64, method in "[A-Z]{1,12}", uri in "/[a-z0-9/]{0,60}(\\?[a-z0-9=&]{0,60})?",
        headers in some_headers(),
    ) {
        let request = request(encode_request(length, &method, &uri, &headers)).expect("is valid");
        prop_assert_eq!(*request.body(), (length != u64::MAX).then_some(length));
        prop_assert_eq!(request.method().as_str(), method);
        prop_assert_eq!(request.uri().to_string(), uri);
        prop_assert_eq!(sorted(owned_pairs(request.headers())), headers);
    }

    #[test]
    fn a_response_is_decoded_as_it_was_encoded(
        status in 100..1000_u16, headers in some_headers(),
    ) {
        let mut encoded = Response::builder().status(status);
        for (name, value) in &headers {
            encoded = encoded.header(name, &value[..]);
        }
        let head = response(&encoded.body(()).expect("is valid"));
        prop_assert_eq!(head.len(), head.capacity());
        let (decoded, map) = decode_response(&head).expect("is valid");
        prop_assert_eq!(decoded, status);
        prop_assert_eq!(sorted(owned_pairs(&map)), headers);
    }

    #[test]
    fn the_head_of_a_call_is_decoded_as_it_was_encoded(
        method in "[A-Z]{1,12}", uri in "/[a-z0-9/]{0,60}(\\?[a-z0-9=&]{0,60})?",
        headers in some_headers(),
    ) {
        let mut encoded = Request::builder().method(&*method).uri(&uri);
        for (name, value) in &headers {
            encoded = encoded.header(name, &value[..]);
        }
        let head = call(&encoded.body(()).expect("is valid"));
        prop_assert_eq!(head.len(), head.capacity());
        let (decoded_method, target, map) = decode_call(&head).expect("is valid");
        prop_assert_eq!(decoded_method, method);
        prop_assert_eq!(target, uri);
        prop_assert_eq!(sorted(owned_pairs(&map)), headers);
    }

    #[test]
    fn a_result_is_decoded_as_it_was_encoded(
        status in 100..1000_u16, headers in some_headers(),
        body in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let bytes = encode_result(status, &headers, &body);
        let response = result(bytes).expect("is valid").expect("is a response");
        prop_assert_eq!(response.status().as_u16(), status);
        prop_assert_eq!(sorted(owned_pairs(response.headers())), headers);
        prop_assert_eq!(&response.body()[..], body);
    }

    #[test]
    fn a_failure_is_decoded_as_it_was_encoded(
        outcome in "[a-z-]{1,20}", text in ".{0,100}", cause in ".{0,40}",
    ) {
        let bytes = encode_failure([&outcome, &text, &cause]);
        let failure = result(bytes).expect("is valid").expect_err("is a failure");
        prop_assert_eq!(failure, Failure { outcome, text, cause });
    }

    #[test]
    fn values_are_decoded_as_they_were_encoded(
        pairs in prop::collection::vec((".{0,20}", ".{0,20}"), 0..20),
    ) {
        let bytes: Vec<Pair> =
            pairs.iter().map(|(n, v)| (n.clone(), v.clone().into_bytes())).collect();
        let mut encoded = Vec::new();
        encode_pairs(&mut encoded, &bytes);
        prop_assert_eq!(values(&encoded).expect("is valid"), pairs);
    }

    #[test]
    fn a_request_that_is_cut_short_is_malformed(
        headers in some_headers(), cut in any::<prop::sample::Index>(),
    ) {
        let whole = encode_request(0, "GET", "/hello/world", &headers);
        prop_assert!(request(whole.slice(..cut.index(whole.len()))).is_err());
    }

    #[test]
    fn a_failure_that_is_cut_short_is_malformed(cut in any::<prop::sample::Index>()) {
        let whole = encode_failure(["canceled", "the context was canceled", "shutdown"]);
        prop_assert!(result(whole.slice(..cut.index(whole.len()))).is_err());
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = request(bytes.clone().into());
        let _ = values(&bytes);
        let _ = result(bytes.clone().into());
        let _ = result([&[0, 0], &*bytes].concat().into());
    }
}

#[test]
fn an_unknown_body_length_is_none() {
    let request = request(encode_request(u64::MAX, "GET", "/", &[])).expect("is valid");
    assert_eq!(*request.body(), None);
}

#[test]
fn headers_of_one_name_stay_in_order() {
    let cookies = ["a", "b"].map(|value| ("cookie".to_owned(), value.into()));
    let request = request(encode_request(0, "GET", "/", &cookies)).expect("is valid");
    assert_eq!(owned_pairs(request.headers()), cookies);
}

#[test]
fn a_count_that_cannot_be_true_allocates_nothing() {
    let mut bytes = u32::MAX.to_le_bytes().to_vec();
    bytes.extend([0; 64]);
    assert_eq!(values(&bytes), Err(Malformed("a number of values")));
}

#[test]
fn a_call_has_the_origin_form() {
    for (uri, target) in [
        ("http://example.com/a?b=c", "/a?b=c"),
        ("https://example.com", "/"),
        ("example.com", "/"),
        ("/a", "/a"),
    ] {
        let head = call(&Request::get(uri).body(()).expect("is valid"));
        let (method, decoded, _) = decode_call(&head).expect("is valid");
        assert_eq!((&*method, &*decoded), ("GET", target));
    }
}

#[test]
fn a_body_shares_the_memory_of_the_result() {
    let bytes = encode_result(200, &[], b"body");
    let memory = bytes.as_ptr_range();
    let response = result(bytes).expect("is valid").expect("is a response");
    assert!(memory.contains(&response.body().as_ptr()));
}

#[test]
fn a_status_that_cannot_be_is_malformed() {
    assert_eq!(result(encode_result(1, &[], b"")).expect_err("no status"), Malformed("a status"));
}

#[test]
fn an_order_has_the_whole_url() {
    let request = Request::get("https://example.com:8443/a?b=c").body(()).expect("is valid");
    let (method, url, _) = decode_call(&order(&request)).expect("is valid");
    assert_eq!((&*method, &*url), ("GET", "https://example.com:8443/a?b=c"));
}

#[test]
fn a_fetched_head_tells_how_long_its_body_is() {
    for (length, expected) in [(7, Some(7)), (u64::MAX, None)] {
        let bytes = encode_result(200, &[], &u64::to_le_bytes(length));
        let (head, length) = fetched(bytes).expect("is valid").expect("is a response");
        assert_eq!((head.status().as_u16(), length), (200, expected));
    }
}

#[cfg(feature = "log")]
type Logged = (String, String, Vec<(String, String)>);

/// Decodes a log record, as the host does.
#[cfg(feature = "log")]
fn decode_record(record: Vec<u8>) -> Option<Logged> {
    let mut reader = Reader(&record);
    let (message, target) = (text(&mut reader)?, text(&mut reader)?);
    Some((message, target, values(reader.0).ok()?))
}

#[cfg(feature = "log")]
proptest! {
    #[test]
    fn what_is_logged_arrives(message: String, target: String, pairs: Vec<(String, String)>) {
        let record = record(&message, &target, &pairs);
        prop_assert_eq!(decode_record(record), Some((message, target, pairs)));
    }
}
