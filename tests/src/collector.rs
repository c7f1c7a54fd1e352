//! A collector of traces and logs: a server of OTLP over gRPC and over HTTP, made of OpenTelemetry's
//! own messages and services.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, ServerTlsConfig};
use tonic::{Code, Status, transport};

use crate::poll;
use crate::tls::Pair;

/// Attributes as text, by name. Members of a map are joined by `.`.
pub type Attributes = BTreeMap<String, String>;

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    /// The URL for gRPC.
    pub grpc: String,
    /// The URL for HTTP.
    pub http: String,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    spans: Mutex<Vec<Span>>,
    records: Mutex<Vec<Record>>,
    /// The headers and the metadata of requests, as text.
    heads: Mutex<Vec<String>>,
    refuses: AtomicBool,
    /// Whether a refusal is for the moment.
    is_busy: AtomicBool,
    hangs: AtomicBool,
    refused: AtomicUsize,
}

/// A span.
#[derive(Clone, Debug)]
pub struct Span {
    /// The attributes of the process.
    pub resource: Attributes,
    /// The name.
    pub name: String,
    /// The kind.
    pub kind: SpanKind,
    /// The id of the trace, in hexadecimal.
    pub trace: String,
    /// The id, in hexadecimal.
    pub id: String,
    /// The id of the parent, in hexadecimal; empty for a root.
    pub parent: String,
    /// The start and the end, in nanoseconds since 1970.
    pub times: (u64, u64),
    /// The attributes.
    pub attributes: Attributes,
    /// The names of the events, with their attributes.
    pub events: Vec<(String, u64, Attributes)>,
    /// The message of its error, if it has failed.
    pub error: Option<String>,
}

/// A log record.
#[derive(Clone, Debug)]
pub struct Record {
    /// The text.
    pub body: String,
    /// The level.
    pub severity: String,
    /// The id of the trace, in hexadecimal; empty if it has none.
    pub trace: String,
    /// The id of the span, in hexadecimal; empty if it has none.
    pub span: String,
    /// The attributes.
    pub attributes: Attributes,
}

impl Collector {
    /// Starts a collector on free ports.
    ///
    /// # Errors
    /// Those of the sockets.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(None).await
    }

    /// Starts a collector whose gRPC has this certificate, as "localhost".
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_encrypted(pair: &Pair) -> io::Result<Self> {
        Self::start_with(Some(pair)).await
    }

    async fn start_with(pair: Option<&Pair>) -> io::Result<Self> {
        let (grpc, web) =
            (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
        let url = |listener: &TcpListener| {
            Ok::<_, io::Error>(format!("http://{}", listener.local_addr()?))
        };
        let state = Arc::new(State::default());
        let mut collector = Self { grpc: url(&grpc)?, http: url(&web)?, state: state.clone() };
        let mut server = transport::Server::builder();
        if let Some(pair) = pair {
            let (certificate, key) = (fs::read(&pair.certificate)?, fs::read(&pair.key)?);
            let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
            server = server.tls_config(tls).map_err(io::Error::other)?;
            collector.grpc = format!("https://localhost:{}", grpc.local_addr()?.port());
        }
        let server = server
            .add_service(TraceServiceServer::from_arc(state.clone()))
            .add_service(LogsServiceServer::from_arc(state.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(grpc)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = web.accept().await {
                let state = state.clone();
                let service = service_fn(move |request| answer(state.clone(), request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // On an error the client has disconnected.
                tokio::spawn(connection);
            }
        });
        Ok(collector)
    }

    /// Answers with an error from now on, or no longer.
    pub fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, SeqCst);
    }

    /// Answers for the moment that it is not available, or no longer.
    pub fn be_busy(&self, is_busy: bool) {
        self.state.is_busy.store(is_busy, SeqCst);
        self.refuse(is_busy);
    }

    /// Answers no request any more.
    pub fn hang(&self) {
        self.state.hangs.store(true, SeqCst);
    }

    /// The number of requests that were answered with an error.
    pub fn refused(&self) -> usize {
        self.state.refused.load(SeqCst)
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        lock(&self.state.spans).clone()
    }

    /// All log records so far.
    pub fn records(&self) -> Vec<Record> {
        lock(&self.state.records).clone()
    }

    /// The headers of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        lock(&self.state.heads).clone()
    }

    /// Waits for this number of spans that fit.
    ///
    /// # Panics
    /// If fewer arrive within a minute.
    pub async fn until(&self, count: usize, fits: impl Fn(&Span) -> bool) -> Vec<Span> {
        poll::until(|| {
            let all = self.spans();
            let spans: Vec<_> = all.iter().filter(|span| fits(span)).cloned().collect();
            if spans.len() >= count { Ok(spans) } else { Err(all) }
        })
        .await
    }

    /// Waits for a log record with this text.
    ///
    /// # Panics
    /// If no such record arrives within a minute.
    pub async fn logged(&self, text: &str) -> Record {
        poll::until(|| {
            let all = self.records();
            all.iter().find(|record| record.body.contains(text)).cloned().ok_or(all)
        })
        .await
    }
}

impl State {
    fn traces(&self, request: ExportTraceServiceRequest) {
        for resource in request.resource_spans {
            let process = process(resource.resource);
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            lock(&self.spans).extend(spans.map(|span| {
                Span {
                    resource: process.clone(),
                    kind: span.kind(),
                    error: span
                        .status
                        .filter(|status| status.code == 2)
                        .map(|status| status.message),
                    name: span.name,
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    times: (span.start_time_unix_nano, span.end_time_unix_nano),
                    attributes: attributes(span.attributes),
                    events: (span.events.into_iter())
                        .map(|event| {
                            (event.name, event.time_unix_nano, attributes(event.attributes))
                        })
                        .collect(),
                }
            }));
        }
    }

    fn logs(&self, request: ExportLogsServiceRequest) {
        let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        let records = scopes.flat_map(|scope| scope.log_records);
        lock(&self.records).extend(records.map(|record| {
            Record {
                body: record
                    .body
                    .map(|body| text("", body))
                    .unwrap_or_default()
                    .remove("")
                    .unwrap_or_default(),
                severity: record.severity_text,
                trace: hex(&record.trace_id),
                span: hex(&record.span_id),
                attributes: attributes(record.attributes),
            }
        }));
    }

    /// Records the head of a request. `Some` is the error that it is answered with.
    async fn begin(&self, head: String) -> Option<Status> {
        lock(&self.heads).push(head);
        if self.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        let refuses = self.refuses.load(SeqCst);
        self.refused.fetch_add(usize::from(refuses), SeqCst);
        let is_busy = self.is_busy.load(SeqCst);
        refuses.then(|| match is_busy {
            true => Status::unavailable("the test is busy"),
            false => Status::invalid_argument("the test refuses it"),
        })
    }
}

#[tonic::async_trait]
impl TraceService for State {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        if let Some(refusal) = self.begin(format!("{:?}", request.metadata())).await {
            return Err(refusal);
        }
        self.traces(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for State {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        if let Some(refusal) = self.begin(format!("{:?}", request.metadata())).await {
            return Err(refusal);
        }
        self.logs(request.into_inner());
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

/// Answers a request over HTTP.
async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let status =
        |status| Response::builder().status(status).body(Full::default()).expect("a response");
    if let Some(refusal) = state.begin(format!("{:?}", head.headers)).await {
        let is_busy = refusal.code() == Code::Unavailable;
        let refused =
            if is_busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST };
        return Ok(status(refused));
    }
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Ok(status(StatusCode::BAD_REQUEST));
    };
    let is_taken = match head.uri.path() {
        "/v1/traces" => ExportTraceServiceRequest::decode(body).map(|it| state.traces(it)).is_ok(),
        "/v1/logs" => ExportLogsServiceRequest::decode(body).map(|it| state.logs(it)).is_ok(),
        _ => return Ok(status(StatusCode::NOT_FOUND)),
    };
    Ok(status(if is_taken { StatusCode::OK } else { StatusCode::BAD_REQUEST }))
}

fn process(resource: Option<Resource>) -> Attributes {
    attributes(resource.map(|resource| resource.attributes).unwrap_or_default())
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    pairs.into_iter().filter_map(|pair| Some(text(&pair.key, pair.value?))).flatten().collect()
}

/// The text of a value, or of the members of a map.
fn text(name: &str, value: AnyValue) -> Attributes {
    let text = match value.value {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(Value::KvlistValue(list)) => {
            let members = attributes(list.values).into_iter();
            return members.map(|(member, text)| (format!("{name}.{member}"), text)).collect();
        }
        other => format!("{other:?}"),
    };
    Attributes::from([(name.to_owned(), text)])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
