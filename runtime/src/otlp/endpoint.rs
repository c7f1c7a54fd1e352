//! The address of a collector.

use http::Uri;
use http::uri::Scheme;

use super::{ExporterError, Protocol};

/// Where a collector is, without a `/` at the end, and how it is reached.
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) protocol: Protocol,
}

impl Endpoint {
    /// Checks the URL of a collector.
    pub(super) fn new(url: &str, protocol: Protocol) -> Result<Self, ExporterError> {
        Ok(Self { url: checked(url, protocol)?, protocol })
    }
}

/// The URL of a collector without a `/` at its end.
fn checked(endpoint: &str, protocol: Protocol) -> Result<String, ExporterError> {
    let refused = |reason: &str| ExporterError::Endpoint {
        // It may hold a password or a token.
        endpoint: endpoint
            .rsplit('@')
            .next()
            .and_then(|rest| rest.split(['?', '#']).next())
            .unwrap_or_default()
            .to_owned(),
        reason: reason.to_owned(),
    };
    let url: Uri =
        endpoint.parse().map_err(|error: http::uri::InvalidUri| refused(&error.to_string()))?;
    if ![Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&url.scheme()) {
        return Err(refused("its scheme is not `http` or `https`"));
    }
    if url.host().is_none_or(str::is_empty) {
        return Err(refused("it has no host"));
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(refused(
            "a user and a password in it are not sent; set OTEL_EXPORTER_OTLP_HEADERS",
        ));
    }
    let authority = url.authority().map_or("", |authority| authority.as_str());
    if authority != url.host().unwrap_or_default() && url.port_u16().is_none() {
        return Err(refused("its port is not a number up to 65535"));
    }
    if url.query().is_some() || endpoint.contains('#') {
        return Err(refused("it has a query or a fragment"));
    }
    let path = url.path().trim_end_matches('/');
    if protocol == Protocol::Grpc && !path.is_empty() {
        return Err(refused("gRPC has no path"));
    }
    if path.ends_with("/v1/traces") || path.ends_with("/v1/logs") {
        return Err(refused("the path of a signal is appended to it"));
    }
    Ok(endpoint.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_http_is_a_collector() {
        for good in ["http://h", "http://127.0.0.1:4317/", "https://[::1]:4317", "http://[::1]"] {
            assert_eq!(checked(good, Protocol::Grpc).expect(good), good.trim_end_matches('/'));
        }
        assert_eq!(checked("http://h/otlp", Protocol::Http).expect("a path"), "http://h/otlp");
        assert!(checked("http://h/otlp", Protocol::Grpc).is_err());
        for bad in [
            "",
            "h:4317",
            "/v1",
            "grpc://h:4317",
            "http://",
            "http://h/?a=b",
            "http://u:secret@h",
            "http://h/?token=secret",
            "http://h/#secret",
            "http://h:99999",
            "http://h/v1/traces",
        ] {
            let error = checked(bad, Protocol::Http).expect_err(bad).to_string();
            assert!(error.contains("http://host:4317") && !error.contains("secret"), "{error}");
        }
    }
}
