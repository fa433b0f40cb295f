//! A message head: start line and ordered fields over one arena.
//!
//! Holds: names and values are byte slices of one reusable buffer, in the order and spelling of the wire; a span that
//! points outside (a head whose decoding has not completed) reads as empty. `clear` keeps the memory, so a pooled head
//! does not allocate in steady state.

use crate::name::FieldId;
use crate::token::{CommaList, comma_list};

/// Request methods known by number; others keep their bytes only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)] // each variant is the method it spells
pub enum Method {
    Options,
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Trace,
    Connect,
    #[default]
    Other,
}

impl Method {
    /// Recognises a method; methods are case-sensitive (RFC 9110 §9.1).
    #[must_use]
    #[inline]
    pub fn of(bytes: &[u8]) -> Method {
        match bytes {
            b"GET" => Method::Get,
            b"POST" => Method::Post,
            b"HEAD" => Method::Head,
            b"PUT" => Method::Put,
            b"OPTIONS" => Method::Options,
            b"PATCH" => Method::Patch,
            b"DELETE" => Method::Delete,
            b"TRACE" => Method::Trace,
            b"CONNECT" => Method::Connect,
            _ => Method::Other,
        }
    }

    /// True when a repeated request has the effect of one (RFC 9110 §9.2.2).
    #[must_use]
    pub fn is_idempotent(self) -> bool {
        matches!(self, Method::Options | Method::Get | Method::Head | Method::Put | Method::Delete | Method::Trace)
    }
}

/// Protocol version of a message. Minor versions above 1 are read as 1.1 (RFC 9112 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

impl Version {
    /// As it stands on the wire, eight bytes.
    #[must_use]
    #[inline]
    pub fn as_bytes(self) -> &'static [u8; 8] {
        match self {
            Version::Http10 => b"HTTP/1.0",
            Version::Http11 => b"HTTP/1.1",
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, len: end.wrapping_sub(start) as u32 }
    }
    #[inline]
    pub(crate) fn end(self) -> usize {
        self.start as usize + self.len as usize
    }
}

/// One field line: 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub name_start: u32,
    pub name_len: u16,
    pub id: FieldId,
    /// Bytes of the arena from the start of the name to the end of the line when it stands there as
    /// `name: value CRLF`, so that an encoder may copy it (and its neighbours) in one go.
    pub verbatim: bool,
    pub value: Span,
}

impl Field {
    #[inline]
    pub(crate) fn name(&self) -> Span {
        Span { start: self.name_start, len: u32::from(self.name_len) }
    }
    /// End of the line in the arena; only sound for `verbatim` fields.
    #[inline]
    pub(crate) fn line_end(&self) -> usize {
        self.value.end() + 2
    }
}

/// A field of a [`Head`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldRef<'a> {
    /// Which well-known name it is, if any.
    pub id: FieldId,
    /// The name as it was spelled.
    pub name: &'a [u8],
    /// The value without white space around it.
    pub value: &'a [u8],
}

/// Head of a request or a response.
///
/// ```
/// use lb_http::{Head, Method};
/// let mut head = Head::new();
/// head.start_request(b"GET", b"/", lb_http::Version::Http11);
/// head.append(b"Host", b"example.org");
/// assert_eq!(head.method(), Method::Get);
/// assert_eq!(head.get(b"HOST"), Some(&b"example.org"[..]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub(crate) arena: Vec<u8>,
    pub(crate) fields: Vec<Field>,
    /// Bits of [`FieldId`]s that occur; a bit may outlive its field, never the reverse.
    pub(crate) present: u64,
    /// Those that may occur more than once, likewise.
    pub(crate) repeated: u64,
    /// Method of a request, reason of a response.
    pub(crate) first: Span,
    pub(crate) target: Span,
    /// End of the start line in the arena when it stands there as it has to be sent; 0 when it must be rebuilt.
    pub(crate) line_end: u32,
    pub(crate) line_start: u32,
    pub(crate) status: u16,
    pub(crate) method: Method,
    pub(crate) version: Version,
}

impl Head {
    /// An empty head; allocates nothing yet.
    #[must_use]
    pub fn new() -> Head {
        Head::default()
    }

    /// Empties the head and keeps its memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.fields.clear();
        (self.present, self.repeated) = (0, 0);
        self.first = Span::default();
        self.target = Span::default();
        self.line_end = 0;
        self.line_start = 0;
        self.status = 0;
        self.method = Method::Other;
        self.version = Version::Http11;
    }

    /// Bytes of memory kept for reuse, so that a pool can drop heads that a hostile message made large.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.arena.capacity() + self.fields.capacity() * size_of::<Field>()
    }

    /// Clears the head and gives it a request line. The caller vouches for the bytes (token, no control bytes).
    pub fn start_request(&mut self, method: &[u8], target: &[u8], version: Version) {
        self.clear();
        self.version = version;
        self.set_method(method);
        self.set_target(target);
    }

    /// Clears the head and gives it a status line.
    pub fn start_response(&mut self, version: Version, status: u16, reason: &[u8]) {
        self.clear();
        self.version = version;
        self.set_status(status, reason);
    }

    #[inline]
    pub(crate) fn slice(&self, span: Span) -> &[u8] {
        self.arena.get(span.start as usize..span.end()).unwrap_or_default()
    }

    pub(crate) fn store(&mut self, bytes: &[u8]) -> Span {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        Span::new(start, self.arena.len())
    }

    // ----- start line -----

    /// The method of a request.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The method's bytes; empty for a response.
    #[must_use]
    pub fn method_bytes(&self) -> &[u8] {
        if self.status == 0 { self.slice(self.first) } else { b"" }
    }

    /// The request target as received, all forms; empty for a response.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.slice(self.target)
    }

    /// The message's version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The status of a response, 100 to 999; 0 for a request.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase of a response, may be empty.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        if self.status == 0 { b"" } else { self.slice(self.first) }
    }

    /// Replaces the method; the caller vouches that it is a token.
    pub fn set_method(&mut self, method: &[u8]) {
        self.line_end = 0;
        self.method = Method::of(method);
        self.first = self.store(method);
    }

    /// Replaces the request target; the caller vouches that it has no space or control byte.
    pub fn set_target(&mut self, target: &[u8]) {
        self.line_end = 0;
        self.target = self.store(target);
    }

    /// Replaces the version.
    pub fn set_version(&mut self, version: Version) {
        if version != self.version {
            self.line_end = 0;
            self.version = version;
        }
    }

    /// Replaces status and reason.
    pub fn set_status(&mut self, status: u16, reason: &[u8]) {
        self.line_end = 0;
        self.status = status;
        self.first = self.store(reason);
    }

    // ----- fields -----

    /// Number of field lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// True without any field line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    #[inline]
    fn field_ref(&self, f: &Field) -> FieldRef<'_> {
        FieldRef { id: f.id, name: self.slice(f.name()), value: self.slice(f.value) }
    }

    /// All fields in order.
    pub fn fields(&self) -> Fields<'_> {
        Fields { head: self, inner: self.fields.iter() }
    }

    /// Bytes of all names and values, but for the fields of one name.
    #[must_use]
    pub fn fields_len_without(&self, id: FieldId) -> usize {
        self.fields.iter().filter(|f| f.id != id).map(|f| usize::from(f.name_len) + f.value.len as usize).sum()
    }

    /// No fewer bytes than all names and values have together, with four for each field: what has been stored, which is known
    /// without a look at the fields.
    #[must_use]
    #[inline]
    pub fn fields_len_bound(&self) -> usize {
        self.arena.len() + 4 * self.fields.len()
    }

    /// The field at `index`, counted from 0 in the order of the wire.
    #[must_use]
    pub fn field(&self, index: usize) -> Option<FieldRef<'_>> {
        self.fields.get(index).map(|f| self.field_ref(f))
    }

    #[inline]
    fn matches(&self, f: &Field, id: FieldId, name: &[u8]) -> bool {
        if id == FieldId::Other { f.id == FieldId::Other && self.slice(f.name()).eq_ignore_ascii_case(name) } else { f.id == id }
    }

    /// Index and value of the first field from `from` on that has this name: by its number, or where that is [`FieldId::Other`], by its
    /// bytes, in any case.
    #[must_use]
    pub fn find_from(&self, from: usize, id: FieldId, name: &[u8]) -> Option<(usize, &[u8])> {
        let rest = self.fields.get(from..)?;
        let found = match id {
            FieldId::Other => rest.iter().position(|f| {
                f.id == FieldId::Other && usize::from(f.name_len) == name.len() && self.slice(f.name()).eq_ignore_ascii_case(name)
            }),
            id => rest.iter().position(|f| f.id == id),
        };
        found.map(|at| (from + at, self.slice(self.fields[from + at].value)))
    }

    /// False when no field of that well-known name is there: one bit test. True says that there may be one.
    #[must_use]
    #[inline]
    pub fn may_have(&self, id: FieldId) -> bool {
        self.present & id.bit() != 0
    }

    /// False when no two fields of that well-known name are there: one bit test. True says that there may be several.
    #[must_use]
    #[inline]
    pub fn may_repeat(&self, id: FieldId) -> bool {
        self.repeated & id.bit() != 0
    }

    /// A field of that name is about to be added.
    #[inline]
    pub(crate) fn note_present(&mut self, id: FieldId) {
        self.repeated |= self.present & id.bit();
        self.present |= id.bit();
    }

    /// True when a field of that well-known name is there. One bit test when it is not.
    #[must_use]
    #[inline]
    pub fn has(&self, id: FieldId) -> bool {
        self.may_have(id) && self.fields.iter().any(|f| f.id == id)
    }

    /// Value of the first field of that well-known name.
    #[must_use]
    #[inline]
    pub fn get_id(&self, id: FieldId) -> Option<&[u8]> {
        if self.present & id.bit() == 0 {
            return None;
        }
        self.fields.iter().find(|f| f.id == id).map(|f| self.slice(f.value))
    }

    /// Values of all fields of that well-known name, in order.
    pub fn get_all_id(&self, id: FieldId) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
        let on = if self.present & id.bit() == 0 { &[][..] } else { &self.fields[..] };
        on.iter().filter(move |f| f.id == id).map(|f| self.slice(f.value))
    }

    /// Value of the first field called `name`, in any case.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let id = FieldId::of(name);
        self.fields.iter().find(|f| self.matches(f, id, name)).map(|f| self.slice(f.value))
    }

    /// Values of all fields called `name`, in any case, in order.
    pub fn get_all<'a>(&'a self, name: &'a [u8]) -> impl DoubleEndedIterator<Item = &'a [u8]> + Clone {
        let id = FieldId::of(name);
        self.fields.iter().filter(move |f| self.matches(f, id, name)).map(|f| self.slice(f.value))
    }

    /// Comma-separated elements of all fields of that name, as if they were one list (RFC 9110 §5.3).
    pub fn tokens(&self, id: FieldId) -> impl Iterator<Item = &[u8]> + Clone {
        self.get_all_id(id).flat_map(comma_list as fn(&[u8]) -> CommaList<'_>)
    }

    /// True when a comma list of that name has `token`, in any case.
    #[must_use]
    pub fn has_token(&self, id: FieldId, token: &[u8]) -> bool {
        self.tokens(id).any(|t| t.eq_ignore_ascii_case(token))
    }

    /// Adds a field after the others. The caller vouches for it ([`crate::is_field_name`], [`crate::is_field_value`]);
    /// names longer than 65,535 bytes are cut.
    pub fn append(&mut self, name: &[u8], value: &[u8]) {
        self.insert(self.fields.len(), name, value);
    }

    /// Adds a field before the others.
    pub fn prepend(&mut self, name: &[u8], value: &[u8]) {
        self.insert(0, name, value);
    }

    /// Adds a field before the one at `index`, or after the others where there is none.
    pub fn insert(&mut self, index: usize, name: &[u8], value: &[u8]) {
        let index = index.min(self.fields.len());
        let name = &name[..name.len().min(usize::from(u16::MAX))];
        let id = FieldId::of(name);
        // Stored as a whole line, so that the encoder can copy it together with its neighbours.
        let start = self.arena.len();
        self.arena.extend_from_slice(name);
        self.arena.extend_from_slice(b": ");
        let value = self.store(value);
        self.arena.extend_from_slice(b"\r\n");
        self.note_present(id);
        self.fields.insert(index, Field { name_start: start as u32, name_len: name.len() as u16, id, verbatim: true, value });
    }

    /// Replaces the value of the field at `index`; nothing happens when there is none.
    pub fn set_value(&mut self, index: usize, value: &[u8]) {
        if index < self.fields.len() {
            let span = self.store(value);
            self.fields[index].value = span;
            self.fields[index].verbatim = false;
        }
    }

    /// Replaces the name of the field at `index`; nothing happens when there is none.
    pub fn set_name(&mut self, index: usize, name: &[u8]) {
        if index < self.fields.len() {
            let name = &name[..name.len().min(usize::from(u16::MAX))];
            let span = self.store(name);
            let id = FieldId::of(name);
            self.note_present(id);
            let f = &mut self.fields[index];
            (f.name_start, f.name_len, f.id, f.verbatim) = (span.start, name.len() as u16, id, false);
        }
    }

    /// Removes all fields called `name`, then appends one with `value`.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.append(name, value);
    }

    /// Removes all fields called `name`, in any case; says how many there were.
    pub fn remove(&mut self, name: &[u8]) -> usize {
        match FieldId::of(name) {
            FieldId::Other => self.retain(|f| f.id != FieldId::Other || !f.name.eq_ignore_ascii_case(name)),
            id => self.remove_id(id),
        }
    }

    /// Removes all fields of that well-known name; says how many there were. One bit test when there are none.
    pub fn remove_id(&mut self, id: FieldId) -> usize {
        if self.present & id.bit() == 0 {
            return 0;
        }
        let before = self.fields.len();
        self.fields.retain(|f| f.id != id);
        self.present &= !id.bit();
        before - self.fields.len()
    }

    /// Removes the field at `index`; nothing happens when there is none.
    pub fn remove_at(&mut self, index: usize) {
        if index < self.fields.len() {
            self.fields.remove(index);
        }
    }

    /// Keeps the fields for which `keep` holds, in order; says how many went.
    pub fn retain(&mut self, mut keep: impl FnMut(FieldRef<'_>) -> bool) -> usize {
        let arena = &self.arena;
        let before = self.fields.len();
        let at = |s: Span| arena.get(s.start as usize..s.end()).unwrap_or_default();
        self.fields.retain(|f| keep(FieldRef { id: f.id, name: at(f.name()), value: at(f.value) }));
        before - self.fields.len()
    }
}

/// Iterator of [`Head::fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    head: &'a Head,
    inner: std::slice::Iter<'a, Field>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = FieldRef<'a>;
    fn next(&mut self) -> Option<FieldRef<'a>> {
        self.inner.next().map(|f| self.head.field_ref(f))
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl DoubleEndedIterator for Fields<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.inner.next_back().map(|f| self.head.field_ref(f))
    }
}

impl ExactSizeIterator for Fields<'_> {}
