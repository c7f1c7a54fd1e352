//! A job: a line of the input as a request.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A line of the input: an object with keys of a job, or else the body itself.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: Id,
    pub(crate) request: http::Request<Bytes>,
}

/// The name of a job: its own, or the number of its line.
#[derive(Debug, Default)]
pub(crate) enum Id {
    #[default]
    Line,
    Number(i64),
    Text(String),
}

/// The keys of a job.
const KEYS: [&str; 6] = ["id", "body", "body_encoding", "headers", "method", "path"];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    id: Id,
    body: Option<Value>,
    body_encoding: Option<Encoding>,
    #[serde(default)]
    headers: Map<String, Value>,
    method: Option<String>,
    path: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Text,
    Base64,
}

impl Job {
    /// Reads a line. Without a path, the request's is `path`.
    ///
    /// # Errors
    /// Why the job can't be run, with its id if it has a usable one.
    pub(crate) fn parse(line: &[u8], path: &PathAndQuery) -> Result<Self, (Id, String)> {
        if line.first() != Some(&b'{') {
            return Ok(Self::raw(line, path));
        }
        match serde_json::from_slice::<Fields>(line) {
            Ok(mut fields) => {
                let id = std::mem::take(&mut fields.id);
                match request(fields, path) {
                    Ok(request) => Ok(Self { id, request }),
                    Err(reason) => Err((id, reason)),
                }
            }
            Err(error) => match serde_json::from_slice::<Map<String, Value>>(line) {
                Ok(object) if KEYS.iter().any(|key| object.contains_key(*key)) => {
                    let id = object.get("id").cloned().unwrap_or_default();
                    let id = serde_json::from_value(id).unwrap_or_default();
                    Err((id, format!("the line is not a job: {error}")))
                }
                _ => Ok(Self::raw(line, path)),
            },
        }
    }

    /// The line as a body.
    fn raw(line: &[u8], path: &PathAndQuery) -> Self {
        let mut request = http::Request::new(Bytes::copy_from_slice(line));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path.clone().into();
        Self { id: Id::Line, request }
    }
}

fn request(fields: Fields, path: &PathAndQuery) -> Result<http::Request<Bytes>, String> {
    let Fields { body, body_encoding, headers, method, path: own, .. } = fields;
    let mut is_json = false;
    let body = match (body, body_encoding) {
        (None | Some(Value::Null), _) => None,
        (Some(Value::String(text)), Some(Encoding::Base64)) => {
            let decoded = STANDARD.decode(text);
            Some(decoded.map_err(|error| format!("`body` is not base64: {error}"))?)
        }
        (Some(Value::String(text)), _) => Some(text.into_bytes()),
        (Some(value), _) => {
            is_json = true;
            Some(value.to_string().into_bytes())
        }
    };
    let usual = if body.is_some() { Method::POST } else { Method::GET };
    let mut request = http::Request::new(Bytes::from(body.unwrap_or_default()));
    *request.method_mut() = match method {
        Some(method) => method.parse().map_err(|_| format!("`{method}` is not a method"))?,
        None => usual,
    };
    let target = own.map(target).transpose()?;
    *request.uri_mut() = target.unwrap_or_else(|| path.clone()).into();
    let map = request.headers_mut();
    for (name, value) in headers {
        append(map, &name, value)?;
    }
    if is_json && !map.contains_key(CONTENT_TYPE) {
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(request)
}

fn target(path: String) -> Result<PathAndQuery, String> {
    let unusable = |path| format!("`{path}` is not a path; write one such as `/hello/world?a=b`");
    if !path.starts_with('/') {
        return Err(unusable(path));
    }
    let path = Bytes::from(path);
    let parsed = PathAndQuery::from_maybe_shared(path.clone());
    parsed.map_err(|_| unusable(String::from_utf8_lossy(&path).into_owned()))
}

/// Appends a header with one value, or with a list of values.
fn append(map: &mut HeaderMap, name: &str, value: Value) -> Result<(), String> {
    let unusable = || format!("the header `{name}` can't be sent");
    let key: HeaderName = name.parse().map_err(|_| unusable())?;
    let values = if let Value::Array(values) = value { values } else { vec![value] };
    for value in values {
        let value = match &value {
            Value::String(text) => HeaderValue::from_str(text),
            Value::Number(number) => HeaderValue::from_str(&number.to_string()),
            _ => return Err(format!("the header `{name}` is not a text")),
        };
        map.append(&key, value.map_err(|_| unusable())?);
    }
    Ok(())
}

impl Id {
    /// Appends the id of a job as JSON.
    pub(crate) fn write(&self, line: u64, to: &mut Vec<u8>) {
        // Serializing texts and numbers to memory can't fail.
        let _ = match self {
            Self::Line => serde_json::to_writer(to, &line),
            Self::Number(number) => serde_json::to_writer(to, number),
            Self::Text(text) => serde_json::to_writer(to, text),
        };
    }

    /// The text that comes back with the result: the number of the line, and the
    /// id as JSON.
    pub(crate) fn label(&self, line: u64) -> Box<str> {
        let mut label = format!("{line} ").into_bytes();
        self.write(line, &mut label);
        String::from_utf8(label).unwrap_or_default().into()
    }
}

/// Written out: the derived code for alternatives formats an error for each one that
/// does not fit.
impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct IdVisitor;

        impl Visitor<'_> for IdVisitor {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a whole number")
            }

            fn visit_unit<E>(self) -> Result<Id, E> {
                Ok(Id::Line)
            }

            fn visit_i64<E>(self, number: i64) -> Result<Id, E> {
                Ok(Id::Number(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Id, E> {
                let number = i64::try_from(number);
                number.map(Id::Number).map_err(|_| E::custom("an `id` is at most 2^63 - 1"))
            }

            fn visit_str<E>(self, text: &str) -> Result<Id, E> {
                Ok(Id::Text(text.to_owned()))
            }
        }

        from.deserialize_any(IdVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Job, (Id, String)> {
        Job::parse(line.as_bytes(), &PathAndQuery::from_static("/f"))
    }

    fn shown(line: &str) -> String {
        let job = parse(line).expect("a job");
        let body = String::from_utf8_lossy(job.request.body()).into_owned();
        let (method, uri) = (job.request.method(), job.request.uri());
        format!("{} {method} {uri} {body}", job.id.label(7))
    }

    #[test]
    fn a_line_is_a_job_or_a_body() {
        for (line, expected) in [
            ("plain text", "7 7 POST /f plain text"),
            (r#"{"a":1}"#, r#"7 7 POST /f {"a":1}"#),
            ("{not json", "7 7 POST /f {not json"),
            ("[1]", "7 7 POST /f [1]"),
            (r#"{"id":3}"#, "7 3 GET /f "),
            (r#"{"id":"a\"b","body":"x"}"#, r#"7 "a\"b" POST /f x"#),
            (r#"{"body":{"a":[1]},"method":"PUT"}"#, r#"7 7 PUT /f {"a":[1]}"#),
            (r#"{"body":"aGk=","body_encoding":"base64","path":"/g?b"}"#, "7 7 POST /g?b hi"),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn headers_have_one_value_or_several() {
        let job = parse(r#"{"headers":{"x-a":"1","x-b":[2,"3"]},"body":[]}"#).expect("a job");
        let headers = job.request.headers();
        assert_eq!(headers["x-a"], "1");
        let values: Vec<_> = headers.get_all("x-b").iter().collect();
        assert_eq!(values, ["2", "3"]);
        assert_eq!(headers[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn a_line_that_is_no_usable_job_says_why() {
        for (line, id, reason) in [
            (r#"{"id":"x","boddy":"a"}"#, r#"7 "x""#, "boddy"),
            (r#"{"id":[],"body":"a"}"#, "7 7", "not a job"),
            (r#"{"id":5,"path":"f"}"#, "7 5", "`f` is not a path"),
            (r#"{"id":5,"method":"a b"}"#, "7 5", "`a b` is not a method"),
            (r#"{"id":5,"headers":{"a b":"c"}}"#, "7 5", "the header `a b`"),
            (r#"{"id":5,"headers":{"a":{}}}"#, "7 5", "the header `a`"),
            (r#"{"id":5,"body":"%","body_encoding":"base64"}"#, "7 5", "base64"),
        ] {
            let (found, error) = parse(line).expect_err(line);
            assert_eq!(&*found.label(7), id, "{line}");
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
