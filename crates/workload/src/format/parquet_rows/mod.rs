//! Conversations in Parquet files: what WildChat and LMSYS-Chat share.
//!
//! Only the columns that conversations are made of are read, row group by row group and page by
//! page: memory holds one page of each of them, however large the file, and a reader that is asked
//! for a thousand conversations reads no pages beyond theirs. The footer at the end of the file is
//! read first, so that the file must be one that can be sought in.

mod column;
mod file;
mod schema;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use turnbench_model::Message;

pub(crate) use self::file::ParquetFile;

use self::column::{Cell, Column};
use self::schema::Layout;
use super::{ReadState, Skipped, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// Rows decoded at once.
const BATCH_ROWS: usize = 64;

/// A value as the file has it.
#[derive(Clone, Debug)]
enum Value {
    Text(ByteArray),
    /// Nanoseconds since 1970.
    Time(i128),
}

/// A row that is a conversation.
#[derive(Debug)]
pub(crate) struct ChatRow {
    /// Its id, or `row-` and its number where it has none.
    pub(crate) id: String,
    /// The model that answered.
    pub(crate) model: Option<String>,
    /// One at least from a user.
    pub(crate) messages: Vec<Message>,
    /// When each message was logged, in nanoseconds since 1970.
    pub(crate) at_ns: Vec<Option<i128>>,
}

/// Which columns a data set has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Name of the column with the id.
    pub(crate) id: &'static str,
    /// Whether messages may have a `timestamp`.
    pub(crate) times: bool,
}

/// The rows of a Parquet file, in file order.
pub(crate) struct ChatRows {
    file: ParquetFile,
    layout: Layout,
    state: Arc<ReadState>,
    /// The row group that comes after the open one.
    group_next: usize,
    open: Option<OpenGroup>,
    /// Size of the row groups before the open one.
    bytes_before: u64,
    ready: VecDeque<RawRow>,
    rows: u64,
    failed: bool,
}

struct OpenGroup {
    id: Column,
    model: Option<Column>,
    role: Column,
    content: Column,
    at: Option<Column>,
    rows: usize,
    rows_done: usize,
    size_bytes: u64,
}

struct RawRow {
    id: Option<Value>,
    model: Option<Value>,
    messages: Vec<RawMessage>,
}

struct RawMessage {
    role: Option<Value>,
    content: Option<Value>,
    at: Option<Value>,
}

impl ChatRows {
    /// Looks at the columns.
    ///
    /// # Errors
    /// When the file is no Parquet, or a column is missing or of another type.
    pub(crate) fn open(source: &Source, wanted: Wanted) -> Result<Self, WorkloadError> {
        let Some(file) = source.peek().parquet().cloned() else {
            return Err(WorkloadError::Field {
                path: source.path().to_owned(),
                line: None,
                field: "the file".to_owned(),
                seen: "is no Parquet".to_owned(),
                allowed: "Parquet, which begins and ends with PAR1".to_owned(),
                hint: None,
            });
        };
        let layout = Layout::find(&file, wanted.id, wanted.times)?;
        Ok(Self {
            file,
            layout,
            state: source.state(),
            group_next: 0,
            open: None,
            bytes_before: 0,
            ready: VecDeque::new(),
            rows: 0,
            failed: false,
        })
    }

    /// Decodes some more rows; `false` at the end.
    fn fill(&mut self) -> Result<bool, WorkloadError> {
        loop {
            let Some(open) = &mut self.open else {
                if self.group_next == self.file.metadata.num_row_groups() {
                    self.state.advance_to(self.state.size_bytes());
                    return Ok(false);
                }
                self.open = Some(OpenGroup::open(&self.file, self.group_next, &self.layout)?);
                self.group_next += 1;
                continue;
            };
            let rows = BATCH_ROWS.min(open.rows - open.rows_done);
            if rows == 0 {
                self.bytes_before = open.end_bytes(self.bytes_before);
                self.open = None;
                continue;
            }
            let group = self.group_next - 1;
            open.fill(rows, &self.layout)
                .map_err(|(column, error)| self.file.damaged(group, column, error))?;
            for _ in 0..rows {
                let row = open.row(self.layout.item_level).ok_or_else(|| {
                    let problem = "roles, contents and timestamps differ in number".to_owned();
                    self.file.damaged(group, "conversation", ParquetError::General(problem))
                })?;
                self.ready.push_back(row);
            }
            open.rows_done += rows;
            self.state.advance_to(open.end_bytes(self.bytes_before).min(self.state.size_bytes()));
            return Ok(true);
        }
    }
}

impl Iterator for ChatRows {
    type Item = Result<Result<ChatRow, Skipped>, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.failed {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        let row = self.ready.pop_front()?;
        let index = self.rows;
        self.rows += 1;
        Some(Ok(row.checked(&Place { path: &self.file.path, index, id: &self.layout.id.name })))
    }
}

impl OpenGroup {
    fn open(file: &ParquetFile, group: usize, layout: &Layout) -> Result<Self, WorkloadError> {
        let column = |leaf: &schema::Leaf| {
            Column::open(file, group, leaf).map_err(|error| file.damaged(group, &leaf.name, error))
        };
        let metadata = file.metadata.row_group(group);
        let rows = usize::try_from(metadata.num_rows()).unwrap_or(0);
        let sizes = metadata.columns().iter().map(|it| u64::try_from(it.compressed_size()));
        Ok(Self {
            id: column(&layout.id)?,
            model: layout.model.as_ref().map(column).transpose()?,
            role: column(&layout.role)?,
            content: column(&layout.content)?,
            at: layout.at.as_ref().map(column).transpose()?,
            rows,
            rows_done: 0,
            size_bytes: sizes.flatten().fold(0, u64::saturating_add),
        })
    }

    /// How far the file has been read, when so many bytes came before: its share of rows stands
    /// for that of bytes.
    fn end_bytes(&self, before: u64) -> u64 {
        let part = u128::from(self.size_bytes) * self.rows_done as u128 / self.rows.max(1) as u128;
        before.saturating_add(u64::try_from(part).unwrap_or(u64::MAX))
    }

    /// Decodes the next rows of each column; an error comes with the column's name.
    fn fill<'a>(&mut self, rows: usize, layout: &'a Layout) -> Result<(), (&'a str, ParquetError)> {
        let columns = [&mut self.id, &mut self.role, &mut self.content];
        let columns = columns.into_iter().chain(&mut self.model).chain(&mut self.at);
        for (column, leaf) in columns.zip(layout.leaves()) {
            column.fill(rows).map_err(|error| (leaf.name.as_str(), error))?;
        }
        Ok(())
    }

    /// The next row; `None` when the parts of its messages do not fit each other.
    fn row(&mut self, item_level: i16) -> Option<RawRow> {
        let single = |column: &mut Column| column.row().pop().and_then(|cell| cell.value);
        let id = single(&mut self.id);
        let model = self.model.as_mut().and_then(single);
        let roles = self.role.row();
        let contents = self.content.row();
        let times = self.at.as_mut().map(Column::row);
        let count = roles.len();
        if contents.len() != count || times.as_ref().is_some_and(|times| times.len() != count) {
            return None;
        }
        let mut times = times.into_iter().flatten();
        let mut messages = Vec::with_capacity(count);
        for (Cell { level, value: role }, content) in roles.into_iter().zip(contents) {
            let at = times.next().and_then(|cell| cell.value);
            if level >= item_level {
                messages.push(RawMessage { role, content: content.value, at });
            }
        }
        Some(RawRow { id, model, messages })
    }
}

/// A row's place, for complaints.
struct Place<'a> {
    path: &'a Path,
    index: u64,
    /// Name of the column with the id.
    id: &'a str,
}

impl Place<'_> {
    fn refuse(&self, field: &str, value: &serde_json::Value, allowed: &str) -> WorkloadError {
        let mut node = Node::item(self.path, self.index, value);
        node.field = format!("[{}].{field}", self.index);
        node.refuse(allowed)
    }

    /// A value as text; `None` where it is null.
    fn text(&self, field: &str, value: Option<Value>) -> Result<Option<String>, Skipped> {
        let Some(Value::Text(bytes)) = value else { return Ok(None) };
        match std::str::from_utf8(bytes.data()) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(error) => {
                let error = WorkloadError::Field {
                    path: self.path.to_owned(),
                    line: None,
                    field: format!("[{}].{field}", self.index),
                    seen: format!("is no UTF-8 at its byte {}", error.valid_up_to()),
                    allowed: "UTF-8 text".to_owned(),
                    hint: None,
                };
                Err(Skipped::new("invalid UTF-8", error))
            }
        }
    }
}

impl RawRow {
    fn checked(self, place: &Place) -> Result<ChatRow, Skipped> {
        let id = place.text(place.id, self.id)?.filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| format!("row-{}", place.index));
        let model = place.text("model", self.model)?.filter(|model| !model.is_empty());
        let mut messages = Vec::with_capacity(self.messages.len());
        let mut at_ns = Vec::with_capacity(self.messages.len());
        for (number, raw) in self.messages.into_iter().enumerate() {
            let (message, at) = raw.checked(place, number)?;
            messages.push(message);
            at_ns.push(at);
        }
        if !messages.iter().any(Message::asks) {
            let count = serde_json::Value::from(vec![0; messages.len()]);
            let allowed = "a list of messages with one of a user at least";
            let error = place.refuse("conversation", &count, allowed);
            return Err(Skipped::new("no user message", error));
        }
        Ok(ChatRow { id, model, messages, at_ns })
    }
}

impl RawMessage {
    fn checked(self, place: &Place, number: usize) -> Result<(Message, Option<i128>), Skipped> {
        const ROLES: &str = "\"user\", \"assistant\" or \"system\"";
        let field = |name: &str| format!("conversation[{number}].{name}");
        let role_field = field("role");
        let role = match place.text(&role_field, self.role)? {
            Some(role) if matches!(&*role, "user" | "assistant" | "system") => role,
            other => {
                let error = place.refuse(&role_field, &other.into(), ROLES);
                return Err(Skipped::new("unknown role", error));
            }
        };
        let content_field = field("content");
        let content = place.text(&content_field, self.content)?;
        let Some(content) = content else {
            let error = place.refuse(&content_field, &serde_json::Value::Null, "text");
            return Err(Skipped::new("message without content", error));
        };
        if content.is_empty() && role == "user" {
            let error = place.refuse(&content_field, &content.into(), "text that is not empty");
            return Err(Skipped::new("empty user message", error));
        }
        let at = match self.at {
            None => None,
            Some(Value::Time(at)) => Some(at),
            Some(text) => {
                let at_field = field("timestamp");
                let text = place.text(&at_field, Some(text))?.unwrap_or_default();
                let parsed = text.parse::<jiff::Timestamp>().map_err(|_| {
                    let allowed = "a time such as \"2023-04-09T00:00:24.25Z\"";
                    let error = place.refuse(&at_field, &text.into(), allowed);
                    Skipped::new("malformed timestamp", error)
                });
                Some(parsed?.as_nanosecond())
            }
        };
        Ok((Message::new(&role, content), at))
    }
}
