use std::ops::Range;

use turnbench_random::NumpyStream;

use super::too_short;
use crate::{Distribution, GeneratorConfig, TextPart, WorkloadError};

/// Draws beyond this are cut to it. No text has as many tokens, so nothing changes but that sums
/// can't overflow.
const DRAW_MAX: i64 = 1 << 40;

/// Most messages of one workload.
const MESSAGES_MAX: u64 = 100_000_000;

/// Every draw of a workload, in the reference's order, as places in the text.
#[derive(Debug)]
pub(super) struct Plan {
    common_draw: i64,
    pub(super) conversations: Vec<ConversationPlan>,
}

/// The draws of one conversation.
#[derive(Debug)]
pub(super) struct ConversationPlan {
    /// Place of the conversation's own prefix; it may lie beyond the end of the text.
    pub(super) prefix: Option<Range<usize>>,
    /// Where the texts of its prompts are counted from.
    offset: i64,
    /// Distance between the texts of neighbouring messages.
    stride: i64,
    /// Tokens wanted for each user message, all included.
    prompts: Vec<i64>,
    /// Tokens of each answer.
    pub(super) answers: Vec<usize>,
}

impl Plan {
    pub(super) fn draw(
        config: &GeneratorConfig,
        base_tokens: i64,
        stream: &mut NumpyStream,
    ) -> Result<Self, WorkloadError> {
        let count = config.num_conversations as usize;
        let turns = draw(&config.num_turns, "prompt_input.num_turns", count, stream)?;
        let turns: Vec<i64> = turns.into_iter().map(|turns| (turns.max(2) + 1) / 2 * 2).collect();
        let messages_count: u64 = turns.iter().map(|&turns| turns as u64).sum();
        if messages_count > MESSAGES_MAX {
            return Err(WorkloadError::TooManyMessages {
                count: messages_count,
                max: MESSAGES_MAX,
            });
        }
        let prefixes =
            draw(&config.prefix_num_tokens, "prompt_input.prefix_num_tokens", count, stream)?;
        let common = draw(
            &config.common_prefix_num_tokens,
            "prompt_input.common_prefix_num_tokens",
            1,
            stream,
        )?;
        let common_draw = common.first().copied().unwrap_or(0);
        let mut offset = common_draw.max(0);
        let mut conversations = Vec::with_capacity(count);
        for (&turns, &prefix) in turns.iter().zip(&prefixes) {
            let turns_count = turns as usize;
            let prompts = draw(&config.num_tokens, "prompt_input.num_tokens", turns_count, stream)?;
            let prompts: Vec<i64> =
                prompts.into_iter().map(|tokens| tokens.max(base_tokens)).collect();
            let answers =
                draw(&config.output_num_tokens, "prompt_output.num_tokens", turns_count, stream)?;
            let stride = prompts.iter().copied().max().unwrap_or(0);
            let place = (prefix > 0).then(|| offset as usize..(offset + prefix) as usize);
            offset += prefix.max(0);
            conversations.push(ConversationPlan {
                prefix: place,
                offset,
                stride,
                prompts: prompts.into_iter().step_by(2).collect(),
                answers: answers
                    .into_iter()
                    .skip(1)
                    .step_by(2)
                    .map(|tokens| tokens.max(1) as usize)
                    .collect(),
            });
            offset += turns;
        }
        Ok(Self { common_draw, conversations })
    }

    /// How many tokens of the text the common prefix takes: two fewer than drawn, counted from the
    /// text's end where that is negative, as Python's slices do. `None`: no common prefix.
    pub(super) fn common_tokens(&self, available: usize) -> Option<usize> {
        (self.common_draw > 0).then(|| match self.common_draw - 2 {
            from_end @ ..0 => available.saturating_sub(from_end.unsigned_abs() as usize),
            count => available.min(count as usize),
        })
    }
}

impl ConversationPlan {
    /// Places of the texts of the user messages, empty where their fixed parts leave no room.
    ///
    /// `first_tokens` and `later_tokens` are the tokens of what the first and the later messages
    /// begin with, `base_tokens` those of the base prompt.
    pub(super) fn prompt_spans(
        &self,
        first_tokens: i64,
        later_tokens: i64,
        base_tokens: i64,
    ) -> Vec<Range<usize>> {
        let spans = (0..).step_by(2).zip(&self.prompts).map(|(message, wanted)| {
            let named = if message == 0 { first_tokens } else { later_tokens };
            let left = wanted - named - base_tokens;
            let start = (self.offset + message * self.stride) as usize;
            start..start + left.max(0) as usize
        });
        spans.collect()
    }

    /// Checks that the text reaches beyond every piece, in the order in which they are used.
    pub(super) fn check_length(
        &self,
        index: usize,
        prompts: &[Range<usize>],
        available: usize,
    ) -> Result<(), WorkloadError> {
        let check = |part, message, end: usize| {
            if available > end {
                return Ok(());
            }
            Err(too_short(part, index, message, end as i64, available))
        };
        for (turn, (prompt, &answer)) in prompts.iter().zip(&self.answers).enumerate() {
            if let Some(prefix) = self.prefix.as_ref().filter(|_| turn == 0) {
                check(TextPart::Prefix, 2 * turn, prefix.end)?;
            }
            if !prompt.is_empty() {
                check(TextPart::Prompt, 2 * turn, prompt.end)?;
            }
            check(TextPart::Answer, 2 * turn + 1, answer)?;
        }
        Ok(())
    }
}

fn draw(
    distribution: &Distribution,
    field: &'static str,
    count: usize,
    stream: &mut NumpyStream,
) -> Result<Vec<i64>, WorkloadError> {
    let mut draws =
        distribution.draw(stream, count).map_err(|source| WorkloadError::Draw { field, source })?;
    for value in &mut draws {
        *value = (*value).clamp(-DRAW_MAX, DRAW_MAX);
    }
    Ok(draws)
}
