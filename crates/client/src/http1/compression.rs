use std::io::Write;

use flate2::write::{GzDecoder, ZlibDecoder};

use crate::error::HttpError;

/// Undoes `Content-Encoding`, read by read, so that stamps keep their meaning.
#[derive(Debug)]
pub(crate) enum Inflater {
    Gzip(GzDecoder<Vec<u8>>),
    Zlib(ZlibDecoder<Vec<u8>>),
}

impl Inflater {
    /// The decoder of a `Content-Encoding`; `None` for none and `identity`.
    pub(crate) fn of(content_encoding: Option<&str>) -> Result<Option<Self>, HttpError> {
        let name = content_encoding.unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "" | "identity" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Self::Gzip(GzDecoder::new(Vec::new())))),
            "deflate" => Ok(Some(Self::Zlib(ZlibDecoder::new(Vec::new())))),
            _ => Err(HttpError::ContentEncoding),
        }
    }

    /// Decodes `bytes` to the end of `out`.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), HttpError> {
        let decoded = match self {
            Self::Gzip(decoder) => {
                decoder.write_all(bytes).and_then(|()| decoder.flush()).map(|()| decoder.get_mut())
            }
            Self::Zlib(decoder) => {
                decoder.write_all(bytes).and_then(|()| decoder.flush()).map(|()| decoder.get_mut())
            }
        };
        out.append(decoded.map_err(|_| HttpError::Compression)?);
        Ok(())
    }
}
