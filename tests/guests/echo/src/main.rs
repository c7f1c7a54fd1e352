//! Responds with the body of its request, and the headers whose names start with `x-`.

use hourglass_sdk::{Context, Request, Response, serve};

fn main() {
    serve(echo)
}

fn echo(_: &Context, req: Request) -> Response {
    let (head, body) = req.into_parts();
    let mut response = Response::new(body);
    let headers = head.headers.iter();
    for (name, value) in headers.filter(|(name, _)| name.as_str().starts_with("x-")) {
        response.headers_mut().append(name, value.clone());
    }
    response
}
