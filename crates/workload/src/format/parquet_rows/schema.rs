use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::{ColumnDescriptor, Type};

use super::ParquetFile;
use crate::WorkloadError;

const TEXT: &str = "text (BYTE_ARRAY)";
const TIME: &str = "a timestamp (INT64 with a TIMESTAMP annotation, INT96, or ISO 8601 text)";
const LIST: &str = "a list of messages, each with role and content";

/// Where the columns lie that conversations are made of.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) id: Leaf,
    pub(super) model: Option<Leaf>,
    pub(super) role: Leaf,
    pub(super) content: Leaf,
    /// When a message was logged.
    pub(super) at: Option<Leaf>,
    /// From this definition level on, the list has an item.
    pub(super) item_level: i16,
}

/// A column in the sense of Parquet: a leaf of the schema.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// Number among all leaves.
    pub(super) index: usize,
    /// As people write it.
    pub(super) name: String,
    /// The definition level of a value that is there.
    pub(super) level_max: i16,
    pub(super) kind: Kind,
}

/// What a leaf's values are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Text,
    /// Counts since 1970, and the nanoseconds of one.
    Time(i64),
    /// Day and nanosecond, as Spark and Impala wrote them.
    Int96,
}

impl Layout {
    /// Finds the columns: the id is called `id`, the rest the same in all data sets.
    ///
    /// Lists are recognized by structure, whatever their writer calls the parts: below
    /// `conversation` there is exactly one repeated node, and a group with `role` or `content`.
    pub(super) fn find(file: &ParquetFile, id: &str, times: bool) -> Result<Self, WorkloadError> {
        let message = Messages::find(file)?;
        let required = |leaf: Option<Leaf>, name: &str| {
            leaf.ok_or_else(|| file.refuse(name, "is missing", TEXT))
        };
        let in_message = |name: &str| message.leaf(file, name, Kind::Text);
        let at = if times { message.leaf(file, "timestamp", Kind::Time(1))? } else { None };
        Ok(Self {
            id: required(leaf(file, &[id], Kind::Text)?, id)?,
            model: leaf(file, &["model"], Kind::Text)?,
            role: required(in_message("role")?, "conversation.role")?,
            content: required(in_message("content")?, "conversation.content")?,
            at,
            item_level: message.item_level,
        })
    }

    pub(super) fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        [&self.id, &self.role, &self.content].into_iter().chain(&self.model).chain(&self.at)
    }
}

/// The group that one message is.
struct Messages<'a> {
    path: Vec<&'a str>,
    item_level: i16,
}

impl<'a> Messages<'a> {
    fn find(file: &'a ParquetFile) -> Result<Self, WorkloadError> {
        let fields = file.schema().root_schema().get_fields();
        let mut node: &Type = fields
            .iter()
            .find(|field| field.name() == "conversation")
            .ok_or_else(|| file.refuse("conversation", "is missing", LIST))?;
        let wrong = || file.refuse("conversation", "is none", LIST);
        let (mut path, mut level, mut item_level) = (Vec::new(), 0, None);
        loop {
            path.push(node.name());
            match repetition(node) {
                Repetition::REQUIRED => {}
                Repetition::OPTIONAL => level += 1,
                Repetition::REPEATED if item_level.is_some() => return Err(wrong()),
                Repetition::REPEATED => {
                    level += 1;
                    item_level = Some(level);
                }
            }
            if !node.is_group() {
                return Err(wrong());
            }
            let children = node.get_fields();
            let is_message = children.iter().any(|it| matches!(it.name(), "role" | "content"));
            match (item_level, children) {
                (Some(item_level), _) if is_message => return Ok(Self { path, item_level }),
                (_, [only]) => node = only,
                (_, _) => return Err(wrong()),
            }
        }
    }

    fn leaf(
        &self,
        file: &ParquetFile,
        name: &str,
        kind: Kind,
    ) -> Result<Option<Leaf>, WorkloadError> {
        let path: Vec<&str> = self.path.iter().copied().chain([name]).collect();
        let leaf = leaf(file, &path, kind)?;
        Ok(leaf.map(|leaf| Leaf { name: format!("conversation.{name}"), ..leaf }))
    }
}

/// The leaf at a path; `None` where nothing is, or nothing but nulls.
fn leaf(file: &ParquetFile, path: &[&str], kind: Kind) -> Result<Option<Leaf>, WorkloadError> {
    let at = |leaf: &&(usize, &ColumnDescriptor)| {
        let parts = leaf.1.path().parts();
        parts.len() >= path.len() && parts.iter().zip(path).all(|(part, name)| part == name)
    };
    let leaves: Vec<_> = file.schema().columns().iter().map(|leaf| &**leaf).enumerate().collect();
    let Some((index, found)) = leaves.iter().find(at) else { return Ok(None) };
    let name = path.join(".");
    let short = path.last().map_or("", |last| last);
    let shown = if path.len() > 1 { format!("conversation.{short}") } else { name.clone() };
    let allowed = if kind == Kind::Text { TEXT } else { TIME };
    let nested = found.path().parts().len() > path.len();
    if nested
        || found.self_type().is_group()
        || repetition(found.self_type()) == Repetition::REPEATED
    {
        return Err(file.refuse(&shown, "is nested", allowed));
    }
    if found.logical_type_ref() == Some(&LogicalType::Unknown) {
        return Ok(None);
    }
    let kind = match (kind, found.physical_type()) {
        (Kind::Text | Kind::Time(_), Physical::BYTE_ARRAY) => Kind::Text,
        (Kind::Time(_), Physical::INT96) => Kind::Int96,
        (Kind::Time(_), Physical::INT64) => match unit(found) {
            Some(unit) => Kind::Time(unit),
            None => return Err(file.refuse(&shown, "is INT64", TIME)),
        },
        (_, physical) => return Err(file.refuse(&shown, &format!("is {physical}"), allowed)),
    };
    Ok(Some(Leaf { index: *index, name, level_max: found.max_def_level(), kind }))
}

/// Nanoseconds in the unit of a timestamp.
fn unit(leaf: &ColumnDescriptor) -> Option<i64> {
    if let Some(LogicalType::Timestamp(timestamp)) = leaf.logical_type_ref() {
        return Some(match timestamp.unit {
            TimeUnit::MILLIS => 1_000_000,
            TimeUnit::MICROS => 1_000,
            TimeUnit::NANOS => 1,
        });
    }
    let converted = leaf.converted_type();
    if converted == ConvertedType::TIMESTAMP_MILLIS {
        return Some(1_000_000);
    }
    (converted == ConvertedType::TIMESTAMP_MICROS).then_some(1_000)
}

fn repetition(node: &Type) -> Repetition {
    let info = node.get_basic_info();
    if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED }
}
