//! HTTP/1.1 as a client needs it: request heads built once, responses read from any split of the
//! bytes. Nothing here touches a socket or a clock.

mod body;
mod chunked;
mod compression;
mod head;
mod headers;
mod reader;
mod template;

pub use body::{Body, Mark};
pub use head::ResponseHead;
pub use headers::{ChatHeaders, Header, HeaderText, chat_headers, get_headers};
pub use reader::ResponseReader;
pub use template::HeadTemplate;
