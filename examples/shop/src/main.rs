//! A REST API: items to read, and orders to create.
//!
//! ```text
//! $ curl http://127.0.0.1:8080/shop/items/2
//! {"id":2,"name":"teapot","price":1900}
//! ```

use hourglass_sdk::{
    Context, Error, IntoResponse, Json, Method, Request, Response, Result, StatusCode, header,
    serve,
};
use serde::{Deserialize, Serialize};

fn main() {
    serve(shop)
}

#[derive(Serialize)]
struct Item {
    id: u32,
    name: &'static str,
    price: u32,
}

const ITEMS: [Item; 2] =
    [Item { id: 1, name: "cup", price: 400 }, Item { id: 2, name: "teapot", price: 1900 }];

fn shop(_: &Context, req: Request) -> Result<Response> {
    let path: Vec<&str> = req.uri().path().split('/').skip(2).collect();
    match (req.method(), &*path) {
        (&Method::GET, ["items"]) => Json(&ITEMS).into_response(),
        (&Method::GET, ["items", id]) => Json(item(id)?).into_response(),
        (&Method::POST, ["orders"]) => order(&req)?.into_response(),
        (_, ["items"] | ["items", _]) => not_allowed("GET"),
        (_, ["orders"]) => not_allowed("POST"),
        _ => Err(Error::status(StatusCode::NOT_FOUND, "no such resource")),
    }
}

/// The item with this id.
fn item(id: &str) -> Result<&'static Item> {
    let item = ITEMS.iter().find(|item| id.parse() == Ok(item.id));
    item.ok_or_else(|| Error::status(StatusCode::NOT_FOUND, format!("no item {id}")))
}

#[derive(Deserialize)]
struct Order {
    item: u32,
    count: u32,
}

#[derive(Serialize)]
struct Receipt {
    name: &'static str,
    total: u64,
}

/// Creates an order from the JSON in the body.
fn order(req: &Request) -> Result<(StatusCode, Json<Receipt>)> {
    let Order { item: id, count } = req.body().json()?;
    let item = item(&id.to_string())?;
    let total = u64::from(item.price) * u64::from(count);
    Ok((StatusCode::CREATED, Json(Receipt { name: item.name, total })))
}

/// The response to a method that the resource does not have.
fn not_allowed(allow: &'static str) -> Result<Response> {
    let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response()?;
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allow));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(method: Method, path: &'static str, body: &'static str) -> Result<Response> {
        let request = Request::builder().method(method).uri(path).body(body.into())?;
        shop(&Context::background(), request)
    }

    #[test]
    fn an_item_is_found_by_its_id() -> Result<()> {
        let response = send(Method::GET, "/shop/items/2", "")?;
        assert_eq!(response.body().text()?, r#"{"id":2,"name":"teapot","price":1900}"#);
        for path in ["/shop/items/3", "/shop/items/two", "/shop"] {
            let error = send(Method::GET, path, "").expect_err("no such resource");
            assert_eq!(error.status_code(), StatusCode::NOT_FOUND, "{path}");
        }
        Ok(())
    }

    #[test]
    fn an_order_has_a_total() -> Result<()> {
        let response = send(Method::POST, "/shop/orders", r#"{"item": 1, "count": 3}"#)?;
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.body().text()?, r#"{"name":"cup","total":1200}"#);
        Ok(())
    }

    #[test]
    fn a_malformed_order_is_a_bad_request() {
        let error = send(Method::POST, "/shop/orders", "{").expect_err("it is not JSON");
        assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn other_methods_are_not_allowed() -> Result<()> {
        let response = send(Method::DELETE, "/shop/items/1", "")?;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[header::ALLOW], "GET");
        Ok(())
    }
}
