use std::borrow::Cow;
use std::path::Path;

use super::convert::ReferenceRules;
use super::dump::Merged;
use super::json::Json;
use crate::WorkloadError;
use crate::json_file;

pub(super) const FROM: &str =
    "\"human\", \"user\", \"gpt\", \"bing\", \"chatgpt\", \"bard\" or \"system\"";

/// A message of a conversation that is kept: users and assistants take turns, beginning with a user.
pub(super) struct Message<'a> {
    at: Place,
    /// UTF-8, but for lone surrogates.
    pub(super) text: Cow<'a, [u8]>,
}

/// Where a message stands in the file.
#[derive(Clone, Copy)]
struct Place {
    item: u32,
    message: usize,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Role {
    User,
    Assistant,
    System,
}

/// The messages of a conversation, or the reason why the reference drops it.
///
/// What it complains of is complained of here in the same order: every message up to the last that
/// is taken needs a known `from` and a `value`, which needs to be text only where everything before
/// was in order.
pub(super) fn taken<'a>(
    path: &Path,
    merged: &Merged,
    texts: &'a [Vec<u8>],
    rules: &ReferenceRules,
) -> Result<Result<Vec<Message<'a>>, &'static str>, WorkloadError> {
    let all = messages(merged, texts);
    if rules.min_turns.is_some_and(|min| (all.len() as i64) < min) {
        return Ok(Err("fewer messages than --min-turns"));
    }
    let mut of_roles = Vec::with_capacity(all.len());
    for (index, (at, json)) in all.into_iter().enumerate() {
        let (role, value) = at.role_and_value(path, json)?;
        if index == 0 && role != Role::User {
            continue;
        }
        if rules.max_turns.is_some_and(|max| index as i64 >= max) {
            break;
        }
        of_roles.push((at, role, value));
    }
    if of_roles.is_empty() {
        return Ok(Err("no message left"));
    }
    let mut taken = Vec::with_capacity(of_roles.len());
    for (index, (at, role, value)) in of_roles.into_iter().enumerate() {
        if role != (if index % 2 == 0 { Role::User } else { Role::Assistant }) {
            return Ok(Err("user and assistant do not take turns"));
        }
        let Some(text) = value.string() else {
            return Err(at.refuse(path, "value", Some(value), "a text"));
        };
        let text = text.decoded();
        if let Some(reason) = refused_for(&text, rules) {
            return Ok(Err(reason));
        }
        taken.push(Message { at, text });
    }
    Ok(Ok(taken))
}

/// All messages of all parts.
fn messages<'a>(merged: &Merged, texts: &'a [Vec<u8>]) -> Vec<(Place, Json<'a>)> {
    let mut all = Vec::new();
    for (part, text) in merged.parts.iter().zip(texts) {
        let [list] = Json::new(text).values(["conversations"]);
        let items = list.and_then(Json::items).into_iter().flatten().enumerate();
        let items = items.skip(usize::from(part.skips_first));
        all.extend(items.map(|(message, json)| (Place { item: part.item, message }, json)));
    }
    all
}

/// Why the reference drops the conversation of a message with this text.
fn refused_for(text: &[u8], rules: &ReferenceRules) -> Option<&'static str> {
    let limit = |limit: Option<i64>| limit.filter(|&limit| limit != 0);
    let (min, max) = (limit(rules.min_content_len), limit(rules.max_content_len));
    if min.is_some() || max.is_some() {
        let length = characters(text) as i64;
        if min.is_some_and(|min| length < min) {
            return Some("a message shorter than --min-content-len");
        }
        if max.is_some_and(|max| length > max) {
            return Some("a message longer than --max-content-len");
        }
    }
    text.is_ascii().then_some("a message of ASCII characters alone")
}

/// Code points; a lone surrogate is one.
pub(super) fn characters(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as u64
}

impl Place {
    fn role_and_value<'a>(
        self,
        path: &Path,
        json: Json<'a>,
    ) -> Result<(Role, Json<'a>), WorkloadError> {
        if !json.is_object() {
            let field = format!("[{}].conversations[{}]", self.item, self.message);
            let allowed = "an object ({\"from\", \"value\"})";
            return Err(complain(path, field, Some(json), allowed, None));
        }
        let [from, value] = json.values(["from", "value"]);
        let (Some(from), Some(value)) = (from, value) else {
            let (key, allowed) = if from.is_none() { ("from", FROM) } else { ("value", "a text") };
            return Err(self.refuse(path, key, None, allowed));
        };
        let role = match from.string().map(super::json::Text::decoded).as_deref() {
            Some(b"human" | b"user") => Role::User,
            Some(b"gpt" | b"bing" | b"chatgpt" | b"bard") => Role::Assistant,
            Some(b"system") => Role::System,
            Some(_) | None => return Err(self.refuse(path, "from", Some(from), FROM)),
        };
        Ok((role, value))
    }

    fn refuse(self, path: &Path, key: &str, found: Option<Json>, allowed: &str) -> WorkloadError {
        let field = format!("[{}].conversations[{}].{key}", self.item, self.message);
        complain(path, field, found, allowed, None)
    }
}

impl Message<'_> {
    /// The complaint that a text cannot be written.
    pub(super) fn refuse_surrogate(&self, path: &Path, key: &str) -> WorkloadError {
        let field = match key {
            "id" => format!("[{}].id", self.at.item),
            key => format!("[{}].conversations[{}].{key}", self.at.item, self.at.message),
        };
        WorkloadError::Field {
            path: path.to_owned(),
            line: None,
            field,
            seen: "holds half of a surrogate pair (\\ud800 to \\udfff alone)".to_owned(),
            allowed: "text that UTF-8 can hold".to_owned(),
            hint: None,
        }
    }
}

/// The complaint about a value of the file.
pub(super) fn complain(
    path: &Path,
    field: String,
    found: Option<Json>,
    allowed: &str,
    hint: Option<&'static str>,
) -> WorkloadError {
    let seen = found.map_or_else(
        || "is missing".to_owned(),
        |json| match json.value() {
            Some(value) => json_file::seen(&value),
            None => "is malformed".to_owned(),
        },
    );
    WorkloadError::Field {
        path: path.to_owned(),
        line: None,
        field,
        seen,
        allowed: allowed.to_owned(),
        hint,
    }
}
