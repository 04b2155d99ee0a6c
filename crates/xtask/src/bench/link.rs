//! A connection to a server under measurement: single calls, large batches to fill it, replies read one by one.

use anyhow::{Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Calls sent before their replies are read.
const BATCH: u64 = 1000;

/// One connection.
pub(super) struct Link {
    stream: BufReader<TcpStream>,
}

impl Link {
    pub(super) fn open(port: u16) -> Result<Link> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(Link { stream: BufReader::with_capacity(1 << 16, stream) })
    }

    /// One call; its reply as text, without type marks. Errors are errors; of an aggregate only the header is read.
    pub(super) fn call(&mut self, words: &[&str]) -> Result<String> {
        let mut bytes = Vec::new();
        encode(&mut bytes, words);
        self.stream.get_mut().write_all(&bytes)?;
        let line = self.line()?;
        if let Some(length) = line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) {
            let mut value = vec![0; length + 2];
            self.stream.read_exact(&mut value)?;
            return Ok(String::from_utf8_lossy(&value[..length]).into_owned());
        }
        Ok(line)
    }

    /// One call whose whole reply is read and dropped.
    pub(super) fn call_whole(&mut self, words: &[&str]) -> Result<()> {
        let mut bytes = Vec::new();
        encode(&mut bytes, words);
        self.send(&bytes)?;
        self.reply(&mut Vec::new())
    }

    /// `count` calls, the words of each by its number.
    pub(super) fn fill(&mut self, count: u64, words: impl Fn(u64) -> Vec<String>) -> Result<()> {
        let (mut bytes, mut bulks) = (Vec::new(), Vec::new());
        let mut next = 0;
        while next < count {
            bytes.clear();
            let end = count.min(next + BATCH);
            for number in next..end {
                let words = words(number);
                encode(&mut bytes, &words.iter().map(String::as_str).collect::<Vec<_>>());
            }
            self.stream.get_mut().write_all(&bytes)?;
            for _ in next..end {
                bulks.clear();
                self.reply(&mut bulks)?;
            }
            next = end;
        }
        Ok(())
    }

    /// Sends encoded calls.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    /// Reads one whole reply. Its byte strings, in order, are added to `bulks`.
    pub(super) fn reply(&mut self, bulks: &mut Vec<String>) -> Result<()> {
        let mut left: u64 = 1;
        while left > 0 {
            left -= 1;
            let line = self.line()?;
            let count = line.get(1..).and_then(|count| count.parse::<i64>().ok()).unwrap_or(0);
            match line.as_bytes()[0] {
                b'*' | b'~' | b'>' => left += count.max(0) as u64,
                b'%' => left += 2 * count.max(0) as u64,
                b'$' if count >= 0 => {
                    let mut value = vec![0; count as usize + 2];
                    self.stream.read_exact(&mut value)?;
                    value.truncate(count as usize);
                    bulks.push(String::from_utf8_lossy(&value).into_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Passes over bytes.
    pub(super) fn skip(&mut self, bytes: u64) -> Result<()> {
        let passed = std::io::copy(&mut self.stream.by_ref().take(bytes), &mut std::io::sink())?;
        if passed < bytes {
            bail!("the server closed the connection");
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        if line.is_empty() || line.starts_with('-') {
            bail!("the server answered {line:?}");
        }
        Ok(line.trim_end().to_string())
    }
}

/// Appends a call, which is also how RESP2 writes an array of byte strings.
pub(super) fn encode(bytes: &mut Vec<u8>, words: &[&str]) {
    bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}
