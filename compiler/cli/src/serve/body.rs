//! Response bodies: empty, a text, or a part of a file that is read as it is sent.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes per read.
const PIECE: usize = 256 << 10;

/// The body of a response.
pub(super) enum Body {
    /// Empty.
    Empty,
    /// A text.
    Text(&'static str),
    /// `left` bytes of a file, from its current position.
    File { file: File, left: u64, buffer: Vec<u8> },
}

impl Body {
    pub(super) fn file(file: File, left: u64) -> Self {
        Body::File { file, left, buffer: Vec::new() }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = match &mut *self {
            Body::Empty => return Poll::Ready(None),
            Body::Text(text) => Bytes::from_static(text.as_bytes()),
            Body::File { left: 0, .. } => return Poll::Ready(None),
            Body::File { file, left, buffer } => {
                let size = usize::try_from(*left).unwrap_or(PIECE).min(PIECE);
                buffer.resize(size, 0);
                let mut read = ReadBuf::new(buffer);
                ready!(pin!(file).poll_read(cx, &mut read))?;
                let bytes = Bytes::copy_from_slice(read.filled());
                if bytes.is_empty() {
                    // More was promised to the client, so it must learn that the file became shorter.
                    return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
                }
                *left -= bytes.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        };
        *self = Body::Empty;
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Body::Empty => 0,
            Body::Text(text) => text.len() as u64,
            Body::File { left, .. } => *left,
        })
    }
}
