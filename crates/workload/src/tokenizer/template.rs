use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::{Date, date};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, Value, context};
use serde::Serialize as _;
use serde_json::Value as Json;
use turnbench_model::python_json::PythonFormatter;
use turnbench_model::{ChatTemplate, Message, TokenizerError};

use super::{LoadError, read_config, read_optional};

/// The date that templates get when they ask for today's: fixed, so that a run can be repeated
/// token for token. It is the date that Llama 3's own template falls back to.
const TODAY: Date = date(2024, 7, 26);

const NAME: &str = "chat_template";

/// A model's Jinja chat template, rendered as transformers does.
#[derive(Debug)]
pub struct JinjaTemplate {
    environment: Environment<'static>,
    /// `bos_token`, `eos_token` and other special tokens that templates refer to.
    special_tokens: Value,
}

impl JinjaTemplate {
    /// Loads `chat_template.jinja` of a directory, or else `chat_template` of its
    /// `tokenizer_config.json` (of several the one named `default`). `None` if there is neither.
    ///
    /// # Errors
    /// When a file is malformed or the template is not valid Jinja.
    pub fn from_directory(directory: &Path) -> Result<Option<Self>, LoadError> {
        let config = read_config(directory)?;
        let file = directory.join("chat_template.jinja");
        let (path, source) = match read_optional(&file)? {
            Some(source) => (file, source),
            None => match config.get("chat_template").and_then(template_of) {
                Some(source) => (directory.join("tokenizer_config.json"), source),
                None => return Ok(None),
            },
        };
        let template = Self::compile(&source, &config)
            .map_err(|source| LoadError::MalformedTemplate { path, source: Box::new(source) })?;
        Ok(Some(template))
    }

    fn compile(source: &str, config: &Json) -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        environment
            .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", tojson);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_template_owned(NAME, without_generation_tags(source))?;
        let special_tokens: BTreeMap<String, Value> = config
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| key.ends_with("_token"))
            .filter_map(|(key, value)| {
                let text = value.as_str().or_else(|| value.get("content")?.as_str())?;
                Some((key.clone(), Value::from(text)))
            })
            .collect();
        Ok(Self { environment, special_tokens: Value::from(special_tokens) })
    }

    fn try_render(
        &self,
        messages: &[Message],
        tools: Option<&Json>,
    ) -> Result<String, minijinja::Error> {
        self.environment.get_template(NAME)?.render(context! {
            messages => Value::from(Serde(messages)),
            tools => tools.map_or(Value::from(()), |tools| Value::from(Serde(tools))),
            documents => Value::from(()),
            add_generation_prompt => true,
            ..self.special_tokens.clone()
        })
    }
}

impl ChatTemplate for JinjaTemplate {
    fn render(&self, messages: &[Message], tools: Option<&Json>) -> Result<String, TokenizerError> {
        self.try_render(messages, tools).map_err(|error| TokenizerError {
            message: format!("the chat template rejects the messages: {error}"),
        })
    }
}

fn template_of(value: &Json) -> Option<String> {
    if let Some(source) = value.as_str() {
        return Some(source.to_owned());
    }
    let named = value.as_array()?;
    let is_default = |entry: &&Json| entry.get("name").and_then(Json::as_str) == Some("default");
    let entry = named.iter().find(is_default).or_else(|| named.first())?;
    Some(entry.get("template")?.as_str()?.to_owned())
}

/// The template with transformers' own tags `generation` and `endgeneration`, which mark answers for
/// training and print nothing, put in terms of standard Jinja.
fn without_generation_tags(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        let Some(end) = tag.find("%}") else { break };
        text.push_str(before);
        let inner = &tag[..end];
        match inner.trim_matches(['-', '+', ' ', '\t', '\n']) {
            "generation" => text.push_str(&inner.replace("generation", " if true ")),
            "endgeneration" => text.push_str(&inner.replace("endgeneration", " endif ")),
            _ => text.push_str(inner),
        }
        rest = &tag[end..];
    }
    text + rest
}

/// transformers' own filter: Python's JSON without escapes of non-ASCII or HTML characters.
#[allow(clippy::needless_pass_by_value, reason = "the shape of a filter's arguments")]
fn tojson(value: Value, arguments: Kwargs) -> Result<String, minijinja::Error> {
    let indent: Option<usize> = arguments.get("indent")?;
    let _: Option<bool> = arguments.get("ensure_ascii")?;
    arguments.assert_all_used()?;
    let formatter = indent.map_or(PythonFormatter::compact(), PythonFormatter::indented);
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter.with_unicode());
    let failed = |error: String| minijinja::Error::new(ErrorKind::BadSerialization, error);
    value.serialize(&mut serializer).map_err(|error| failed(error.to_string()))?;
    String::from_utf8(out).map_err(|error| failed(error.to_string()))
}

fn raise_exception(message: String) -> Result<String, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
}

fn strftime_now(format: &str) -> Result<String, minijinja::Error> {
    jiff::fmt::strtime::format(format, TODAY.at(12, 0, 0, 0))
        .map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use turnbench_model::{ChatTemplate, Message};

    use super::JinjaTemplate;

    fn render(source: &str, messages: &[Message]) -> String {
        let config = json!({"bos_token": "<s>", "eos_token": {"content": "</s>"}});
        let template = JinjaTemplate::compile(source, &config).unwrap();
        template.render(messages, None).unwrap_or_else(|error| error.message)
    }

    fn messages() -> Vec<Message> {
        vec![Message::new("system", " be brief "), Message::new("user", "héllo <b>")]
    }

    #[test]
    fn templates_see_messages_special_tokens_and_python_methods() {
        let source = "{{ bos_token }}{% for m in messages %}\n  {%- if m.role == 'system' %}\n\
                      [{{ m['content'].strip() | upper }}]\n{%- else -%}\n<{{ m.role }}>{{ m.content }}\
                      {{ eos_token }}{% endif %}\n{% endfor %}\
                      {% if add_generation_prompt %}<assistant>{% endif %}";
        assert_eq!(render(source, &messages()), "<s>[BE BRIEF]<user>héllo <b></s><assistant>");
    }

    #[test]
    fn json_is_written_as_python_writes_it() {
        let source = "{{ {'b': [1, 'é<'], 'a': none} | tojson }}";
        assert_eq!(render(source, &[]), r#"{"b": [1, "é<"], "a": null}"#);
    }

    #[test]
    fn templates_can_refuse_messages_and_ask_for_a_date() {
        assert!(render("{{ raise_exception('no tools') }}", &[]).contains("no tools"));
        assert_eq!(render("{{ strftime_now('%d %b %Y') }}", &[]), "26 Jul 2024");
        assert_eq!(render("{{ tools is none }}{{ tools is defined }}", &[]), "TrueTrue");
    }

    #[test]
    fn tags_that_mark_answers_for_training_print_nothing() {
        let source = "{% for m in messages %}{%- generation -%} {{ m.role }} {% endgeneration %}\
                      {% endfor %}{{ '{%' }}";
        assert_eq!(render(source, &messages()), "system user {%");
        assert_eq!(super::without_generation_tags("a {% b"), "a {% b");
    }

    #[test]
    fn a_directory_may_hold_the_template_in_either_place() {
        let folder = tempfile::tempdir().unwrap();
        let load = || JinjaTemplate::from_directory(folder.path());
        assert!(load().unwrap().is_none());
        let config = json!({"chat_template": [{"name": "tool_use", "template": "t"},
            {"name": "default", "template": "config {{ messages[0].content }}"}]});
        std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        let render =
            || load().unwrap().unwrap().render(&[Message::new("user", "x")], None).unwrap();
        assert_eq!(render(), "config x");
        let jinja = folder.path().join("chat_template.jinja");
        std::fs::write(&jinja, "file {{ messages[0].content }}").unwrap();
        assert_eq!(render(), "file x");
        std::fs::write(&jinja, "{% if %}").unwrap();
        assert!(load().unwrap_err().to_string().contains("can't be compiled"));
    }
}
