//! How values are compared with patterns: the methods of `-m`.

use crate::sample::Type;

/// A matching method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Matching {
    /// There is a value.
    Found,
    /// The value is true, or a number but 0.
    Bool,
    /// A number, or a range of them.
    Int,
    /// The same, where patterns may be versions, `3.1`.
    Version,
    /// An address, or a network.
    Ip,
    /// Bytes, given in hexadecimal digits.
    Bin,
    /// Length, as a number or a range.
    Len,
    /// The whole text.
    Str,
    /// A part of the text.
    Sub,
    /// A regular expression.
    Reg,
    /// The beginning.
    Beg,
    /// The end.
    End,
    /// Whole parts between slashes.
    Dir,
    /// Whole parts between dots, slashes, colons, question marks.
    Dom,
    /// An HTTP method, in whatever case.
    Method,
}

impl Matching {
    /// The method that `-m NAME` says.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "found" => Self::Found,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "ip" => Self::Ip,
            "bin" => Self::Bin,
            "len" => Self::Len,
            "str" => Self::Str,
            "sub" => Self::Sub,
            "reg" => Self::Reg,
            "beg" => Self::Beg,
            "end" => Self::End,
            "dir" => Self::Dir,
            "dom" => Self::Dom,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Bool => "bool",
            Self::Int | Self::Version => "int",
            Self::Ip => "ip",
            Self::Bin => "bin",
            Self::Len => "len",
            Self::Str => "str",
            Self::Sub => "sub",
            Self::Reg => "reg",
            Self::Beg => "beg",
            Self::End => "end",
            Self::Dir => "dir",
            Self::Dom => "dom",
            Self::Method => "method",
        }
    }

    /// The method for values of a type, when none is said. `None`: one has to be.
    pub fn for_type(kind: Type) -> Option<Self> {
        match kind {
            Type::Bool => Some(Self::Bool),
            Type::Int => Some(Self::Int),
            Type::Addr | Type::Ipv4 | Type::Ipv6 => Some(Self::Ip),
            Type::Str => Some(Self::Str),
            Type::Method => Some(Self::Method),
            Type::Any | Type::Same | Type::Bin => None,
        }
    }

    /// What a value has to be for it.
    pub const fn input(self) -> Type {
        match self {
            Self::Found => Type::Any,
            Self::Bool => Type::Bool,
            Self::Int | Self::Version => Type::Int,
            Self::Ip => Type::Addr,
            Self::Bin => Type::Bin,
            Self::Len | Self::Str | Self::Sub | Self::Reg | Self::Beg | Self::End | Self::Dir | Self::Dom => Type::Str,
            Self::Method => Type::Method,
        }
    }

    /// Whether it needs patterns to match at all.
    pub fn needs_patterns(self) -> bool {
        !matches!(self, Self::Found | Self::Bool)
    }

    /// Whether numbers are compared: patterns may be ranges, and operators stand before them.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Version | Self::Len)
    }
}
