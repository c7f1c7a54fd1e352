//! A REST API: items to read, and orders to create.

use hourglass_sdk::{
    Context, Error, IntoResponse, Json, Method, Request, Response, Result, StatusCode, serve,
};
use serde::{Deserialize, Serialize};

fn main() {
    serve(api)
}

fn api(_: &Context, req: Request) -> Result<Response> {
    // The first part of the path is the function's name.
    let path: Vec<&str> = req.uri().path().split('/').skip(2).collect();
    match (req.method(), &*path) {
        (&Method::GET, ["items"]) => Json(&ITEMS).into_response(),
        (&Method::GET, ["items", id]) => Json(item(id)?).into_response(),
        (&Method::POST, ["orders"]) => order(&req)?.into_response(),
        (_, ["items" | "orders", ..]) => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        _ => Err(Error::status(StatusCode::NOT_FOUND, "no such resource")),
    }
}

#[derive(Serialize)]
struct Item {
    id: u32,
    name: &'static str,
    price: u32,
}

const ITEMS: [Item; 2] = [
    Item {
        id: 1,
        name: "cup",
        price: 400,
    },
    Item {
        id: 2,
        name: "teapot",
        price: 1900,
    },
];

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

/// Creates an order from the JSON in the body. A malformed one is answered with 400.
fn order(req: &Request) -> Result<(StatusCode, Json<Receipt>)> {
    let Order { item: id, count } = req.body().json()?;
    let item = item(&id.to_string())?;
    let total = u64::from(item.price) * u64::from(count);
    Ok((
        StatusCode::CREATED,
        Json(Receipt {
            name: item.name,
            total,
        }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(method: Method, path: &str, body: &'static str) -> Result<Response> {
        let uri = format!("/{{name}}/{path}");
        api(
            &Context::background(),
            Request::builder()
                .method(method)
                .uri(uri)
                .body(body.into())?,
        )
    }

    #[test]
    fn an_item_is_found_by_its_id() -> Result<()> {
        let response = send(Method::GET, "items/2", "")?;
        assert_eq!(
            response.body().text()?,
            r#"{"id":2,"name":"teapot","price":1900}"#
        );
        let error = send(Method::GET, "items/3", "").expect_err("there is no such item");
        assert_eq!(error.status_code(), StatusCode::NOT_FOUND);
        Ok(())
    }

    #[test]
    fn an_order_has_a_total() -> Result<()> {
        let response = send(Method::POST, "orders", r#"{"item": 1, "count": 3}"#)?;
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.body().text()?, r#"{"name":"cup","total":1200}"#);
        Ok(())
    }

    #[test]
    fn a_malformed_order_is_a_bad_request() {
        let error = send(Method::POST, "orders", "{").expect_err("it is not JSON");
        assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
    }
}
