use jiff::civil::DateTime;
use rust_xlsxwriter::{Format, Workbook as Book, Worksheet, XlsxError};
use serde_json::Value;
use turnbench_metrics::{Describe, RequestRow, Summary, order_rows};

use super::stats_json::{REFERENCE_KEYS, StatsKeys, entry};
use crate::ReportError;
use crate::terminal::{Frame, ParameterValue, Parameters, rates};

/// What `-e` writes: a sheet `Summary` with parameters and tables, and a sheet `Raw data` with
/// one line for each completed request, by start time.
#[derive(Clone, Copy, Debug)]
pub struct Workbook<'a> {
    /// The parameters of the run.
    pub parameters: &'a Parameters,
    /// The generation parameters; may be empty.
    pub generation: &'a [(String, String)],
    /// One for each warm-up fraction.
    pub summaries: &'a [Summary],
    /// Completed requests, in any order.
    pub rows: &'a [RequestRow],
    /// Whether our columns follow those of the reference.
    pub keys: StatsKeys,
    /// Whether the time between turns is a column (`--verbose`).
    pub between_turns: bool,
}

/// The reference's name for the file, for a local time.
pub fn workbook_file_name(num_clients: u32, at: DateTime) -> String {
    format!("statistics_{num_clients}_clients__{}.xlsx", at.strftime("%d-%m-%Y_%H-%M-%S"))
}

impl Workbook<'_> {
    /// The bytes of the file.
    ///
    /// # Errors
    /// [`ReportError::Workbook`] when there are more requests than a sheet has lines.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ReportError> {
        let mut raw = Vec::with_capacity(self.rows.len());
        for ordered in order_rows(self.rows) {
            raw.push(self.raw_line(&ordered)?);
        }
        self.build(&raw).map_err(|source| ReportError::Workbook { rows: self.rows.len(), source })
    }

    fn build(&self, raw: &[Vec<(String, Value)>]) -> Result<Vec<u8>, XlsxError> {
        let bold = Format::new().set_bold();
        let mut book = Book::new();
        self.write_summary(book.add_worksheet().set_name("Summary")?, &bold)?;
        let sheet = book.add_worksheet().set_name("Raw data")?;
        for (line, cells) in raw.iter().enumerate() {
            for (column, (name, value)) in cells.iter().enumerate() {
                if line == 0 {
                    sheet.write_with_format(0, column as u16, name, &bold)?;
                }
                write_value(sheet, line as u32 + 1, column as u16, value)?;
            }
        }
        book.save_to_buffer()
    }

    fn write_summary(&self, sheet: &mut Worksheet, bold: &Format) -> Result<(), XlsxError> {
        let parameters = self.parameters.entries();
        for (column, (name, value)) in parameters.iter().enumerate() {
            sheet.write_with_format(0, column as u16, *name, bold)?;
            write_parameter(sheet, 1, column as u16, value)?;
        }
        let mut line = 4;
        if !self.generation.is_empty() {
            for (column, (name, text)) in self.generation.iter().enumerate() {
                sheet.write_with_format(3, column as u16, name, bold)?;
                sheet.write(4, column as u16, text)?;
            }
            line = 8;
        }
        for summary in self.summaries {
            line = write_table(sheet, line, summary, bold)?;
        }
        Ok(())
    }

    /// Names and values of one request: the reference's, the time between turns, the end, ours.
    fn raw_line(
        &self,
        ordered: &turnbench_metrics::OrderedRow<'_>,
    ) -> Result<Vec<(String, Value)>, ReportError> {
        let Value::Object(object) = entry(ordered.row, self.keys)? else { return Ok(Vec::new()) };
        let mut line: Vec<(String, Value)> = object.into_iter().collect();
        let ours = line.split_off(REFERENCE_KEYS.min(line.len()));
        if self.between_turns {
            let value = Value::from(ordered.time_between_user_turns_sec);
            line.push(("time_between_user_turns_sec".to_owned(), value));
        }
        line.push(("end_time_ms".to_owned(), Value::from(ordered.row.end_time_ms())));
        line.extend(ours);
        Ok(line)
    }
}

/// Writes rates and table of one summary; gives the line at which the next may start.
fn write_table(
    sheet: &mut Worksheet,
    line: u32,
    summary: &Summary,
    bold: &Format,
) -> Result<u32, XlsxError> {
    for (column, (name, value)) in rates(summary).into_iter().enumerate() {
        sheet.write_with_format(line, column as u16, name, bold)?;
        if value.is_finite() {
            sheet.write(line + 1, column as u16, value)?;
        }
    }
    let rows: Vec<(&str, &Describe)> =
        summary.table.iter().map(|metric| (metric.id.as_str(), &metric.describe)).collect();
    let frame = Frame::of(&rows);
    let top = line + 3;
    for (at, name) in frame.columns.iter().enumerate() {
        sheet.write_with_format(top, at as u16 + 1, name, bold)?;
    }
    for (row, (name, cells)) in frame.rows.iter().enumerate() {
        let row_line = top + 1 + row as u32;
        sheet.write_with_format(row_line, 0, name, bold)?;
        for (at, cell) in cells.iter().enumerate() {
            if let Some(number) = cell {
                sheet.write(row_line, at as u16 + 1, *number)?;
            }
        }
    }
    Ok(top + frame.rows.len() as u32 + 3)
}

fn write_parameter(
    sheet: &mut Worksheet,
    line: u32,
    column: u16,
    value: &ParameterValue,
) -> Result<(), XlsxError> {
    match value {
        ParameterValue::Text(text) => sheet.write(line, column, text)?,
        ParameterValue::Integer(number) => sheet.write(line, column, *number as f64)?,
        ParameterValue::Absent => return Ok(()),
    };
    Ok(())
}

/// Writes a JSON scalar; `null` stays an empty cell.
fn write_value(
    sheet: &mut Worksheet,
    line: u32,
    column: u16,
    value: &Value,
) -> Result<(), XlsxError> {
    match value {
        Value::Null => return Ok(()),
        Value::Bool(value) => sheet.write(line, column, *value)?,
        Value::Number(number) => sheet.write(line, column, number.as_f64().unwrap_or_default())?,
        Value::String(text) => sheet.write(line, column, text)?,
        Value::Array(_) | Value::Object(_) => sheet.write(line, column, value.to_string())?,
    };
    Ok(())
}
