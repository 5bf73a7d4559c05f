use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use turnbench_model::python_json::PythonFormatter;

use super::WriteReport;

/// The output and the account of it.
pub(super) struct Sheet<'a> {
    out: &'a mut dyn Write,
    row: Vec<u8>,
    pub(super) report: WriteReport,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, row: Vec::new(), report: WriteReport::default() }
    }

    /// Writes one row: a compact JSON value on a line of its own.
    pub(super) fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.row.clear();
        serde_json::to_writer(&mut self.row, value)?;
        self.end_line()
    }

    /// Writes one row with the spaces that Python's `json.dumps` puts in.
    pub(super) fn python_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.row.clear();
        let formatter = PythonFormatter::compact().with_unicode();
        value.serialize(&mut Serializer::with_formatter(&mut self.row, formatter))?;
        self.end_line()
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.row.push(b'\n');
        self.report.rows += 1;
        self.out.write_all(&self.row)
    }

    /// Writes what `fill` puts into an empty buffer.
    pub(super) fn bytes(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.row.clear();
        fill(&mut self.row)?;
        self.out.write_all(&self.row)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
