//! Makes a thumbnail of the PNG or JPEG in the request's body, and checks its context between rows.
//!
//! ```text
//! $ curl 'http://127.0.0.1:8080/thumbnail?width=160' \
//!       --data-binary @examples/thumbnail/dunes.jpg --output thumbnail.jpg
//! ```
//!
//! The thumbnail has the format of the picture, and is never larger than the picture.

mod shrink;

use std::io::Cursor;

use hourglass_sdk::{Context, Error, Request, Response, Result, StatusCode, header, serve};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

/// The default width of a thumbnail, in pixels.
const WIDTH: u32 = 200;
/// The maximum width and height of a picture, in pixels.
const LARGEST: u32 = 8192;
/// The maximum memory for a decoded picture, in bytes. A small file can decode to a huge picture (a
/// decompression bomb), so this is checked before decoding.
const DECODED: u64 = 36 << 20;

fn main() {
    serve(thumbnail)
}

fn thumbnail(ctx: &Context, req: Request) -> Result<Response> {
    let width = width(&req)?;
    let (picture, format) = decode(&req.body().collect()?).map_err(not_a_picture)?;
    let small = shrink::to_width(ctx, &picture, width)?;

    let mut file = Cursor::new(Vec::new());
    match format {
        // A JPEG has no transparency to keep.
        ImageFormat::Jpeg => DynamicImage::from(small).into_rgb8().write_to(&mut file, format)?,
        _ => small.write_to(&mut file, format)?,
    }
    let response = Response::builder().header(header::CONTENT_TYPE, format.to_mime_type());
    Ok(response.body(file.into_inner().into())?)
}

/// Returns the width from the query, as in `?width=160`.
fn width(req: &Request) -> Result<u32> {
    let mut pairs = req.uri().query().unwrap_or_default().split('&');
    let Some(width) = pairs.find_map(|pair| pair.strip_prefix("width=")) else {
        return Ok(WIDTH);
    };
    width.parse().ok().filter(|width| (1..=LARGEST).contains(width)).ok_or_else(|| {
        let text = format!("width is a number of pixels from 1 to {LARGEST}, not {width:?}");
        Error::status(StatusCode::BAD_REQUEST, text)
    })
}

/// Decodes a picture that is not too large, and rotates it to the orientation of its camera.
fn decode(file: &[u8]) -> image::ImageResult<(DynamicImage, ImageFormat)> {
    let format = image::guess_format(file)?;
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST);
    limits.max_image_height = Some(LARGEST);
    limits.max_alloc = Some(DECODED);
    reader.limits(limits.clone());

    let mut decoder = reader.into_decoder()?;
    limits.reserve(decoder.total_bytes())?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok((picture, format))
}

/// Makes the client's error for a picture that cannot be decoded.
fn not_a_picture(error: image::ImageError) -> Error {
    let status = match error {
        image::ImageError::Limits(_) => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::UNSUPPORTED_MEDIA_TYPE,
    };
    Error::status(status, format!("post a PNG or a JPEG that is not too large: {error}"))
}

#[cfg(test)]
mod tests {
    use image::{GenericImageView, Rgb, RgbImage};

    use super::*;

    const PHOTO: &[u8] = include_bytes!("../dunes.jpg");

    fn post(uri: &'static str, file: impl Into<hourglass_sdk::Body>) -> Result<Request> {
        Ok(Request::builder().method("POST").uri(uri).body(file.into())?)
    }

    fn png(width: u32, height: u32) -> Result<Vec<u8>> {
        let mut file = Cursor::new(Vec::new());
        let picture = RgbImage::from_pixel(width, height, Rgb([10, 200, 30]));
        picture.write_to(&mut file, ImageFormat::Png)?;
        Ok(file.into_inner())
    }

    #[test]
    fn a_photo_becomes_a_small_photo() -> Result<()> {
        let answer = thumbnail(&Context::background(), post("/thumbnail?width=100", PHOTO)?)?;
        assert_eq!(answer.headers()["content-type"], "image/jpeg");
        let (large, small) = (decode(PHOTO)?.0, decode(&answer.body().collect()?)?.0);
        assert_eq!(small.width(), 100);
        assert_eq!(small.height(), large.height() * 100 / large.width());
        Ok(())
    }

    #[test]
    fn a_png_stays_a_png_and_is_not_enlarged() -> Result<()> {
        let answer = thumbnail(&Context::background(), post("/thumbnail", png(30, 20)?)?)?;
        assert_eq!(answer.headers()["content-type"], "image/png");
        let small = decode(&answer.body().collect()?)?.0;
        assert_eq!(small.dimensions(), (30, 20));
        assert_eq!(small.get_pixel(29, 19).0, [10, 200, 30, 255]);
        Ok(())
    }

    #[test]
    fn a_done_context_ends_the_work() -> Result<()> {
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        let error = thumbnail(&ctx, post("/thumbnail", PHOTO)?).expect_err("it is done");
        assert!(error.done().is_some());
        Ok(())
    }

    #[test]
    fn what_is_no_picture_is_refused() -> Result<()> {
        for file in [&b""[..], b"a text", &PHOTO[..20]] {
            let error = thumbnail(&Context::background(), post("/thumbnail", file)?);
            let status = error.expect_err("it is no picture").status_code();
            assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        Ok(())
    }

    #[test]
    fn a_huge_picture_is_refused_before_it_is_decoded() -> Result<()> {
        // One is too wide, the other would take too much memory.
        for (width, height) in [(LARGEST + 1, 1), (LARGEST, 1600)] {
            let huge = post("/thumbnail", png(width, height)?)?;
            let error = thumbnail(&Context::background(), huge).expect_err("it is huge");
            assert_eq!(error.status_code(), StatusCode::PAYLOAD_TOO_LARGE);
        }
        Ok(())
    }

    #[test]
    fn a_width_that_is_no_width_is_refused() -> Result<()> {
        for uri in ["/?width=", "/?width=0", "/?width=-1", "/?width=9000", "/?width=wide"] {
            let error = thumbnail(&Context::background(), post(uri, PHOTO)?);
            assert_eq!(error.expect_err(uri).status_code(), StatusCode::BAD_REQUEST);
        }
        Ok(())
    }
}
