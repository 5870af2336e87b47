//! The route table: host first, then the most specific path, then the method.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use http::Method;
use portcullis_core::CanonicalPath;
use thiserror::Error;

use crate::resource_metadata::Resources;
use crate::{AllowedHost, Route};

/// Why a route cannot stand in the table. The file must be mended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TableError {
    /// Another route takes the same host, path and method.
    #[error("route `{other}` takes the same host, path and method {method}")]
    Conflict {
        /// Name of the other route.
        other: Arc<str>,
        /// The method both take.
        method: Method,
    },
    /// The host is not an entry of the allow-list.
    #[error("the host is not on the list")]
    NoSuchHost,
}

/// Why a path pattern is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathPatternError {
    /// `{name}` is not a whole segment, or the name is empty or has odd characters.
    #[error("a variable is a whole segment: {{name}} with letters, digits and _")]
    Variable,
    /// `{*rest}` is not the last segment.
    #[error("{{*rest}} can only be the last segment")]
    Rest,
    /// Two variables of one name.
    #[error("two variables have the same name")]
    TwiceNamed,
    /// The literal part is not canonical.
    #[error("the path is not in canonical form")]
    NotCanonical,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Variable(Box<str>),
}

/// A parsed path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
    rest: Option<Box<str>>,
}

impl PathPattern {
    /// Parses `/x/{name}/{*rest}`: exact, but for variables of one segment and a rest at the end
    /// that may be empty.
    pub fn parse(text: &str) -> Result<Self, PathPatternError> {
        let body = text.strip_prefix('/').ok_or(PathPatternError::NotCanonical)?;
        let mut pattern = Self { segments: Vec::new(), rest: None };
        for segment in body.split('/') {
            if pattern.rest.is_some() {
                return Err(PathPatternError::Rest);
            }
            pattern.push(segment)?;
        }
        let mut names = pattern.variables();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        if names.len() < count { Err(PathPatternError::TwiceNamed) } else { Ok(pattern) }
    }

    fn push(&mut self, segment: &str) -> Result<(), PathPatternError> {
        if let Some(inner) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            let (is_rest, name) = inner.strip_prefix('*').map_or((false, inner), |n| (true, n));
            let sound = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if name.is_empty() || !name.bytes().all(sound) {
                return Err(PathPatternError::Variable);
            }
            if is_rest {
                self.rest = Some(name.into());
            } else {
                self.segments.push(Segment::Variable(name.into()));
            }
            return Ok(());
        }
        if segment.contains(['{', '}']) {
            return Err(PathPatternError::Variable);
        }
        let canonical = CanonicalPath::parse(&format!("/{segment}"))
            .map_err(|_| PathPatternError::NotCanonical)?;
        if canonical.as_str().get(1..) != Some(segment) {
            return Err(PathPatternError::NotCanonical);
        }
        self.segments.push(Segment::Literal(segment.into()));
        Ok(())
    }

    /// Names of its variables, the rest among them.
    pub fn variables(&self) -> Vec<&str> {
        let named = self.segments.iter().filter_map(|segment| match segment {
            Segment::Variable(name) => Some(&**name),
            Segment::Literal(_) => None,
        });
        named.chain(self.rest.as_deref()).collect()
    }

    /// Its variables of one segment, with the number of that segment, from 0.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, usize)> {
        let numbered = self.segments.iter().enumerate();
        numbered.filter_map(|(at, segment)| match segment {
            Segment::Variable(name) => Some((&**name, at)),
            Segment::Literal(_) => None,
        })
    }

    /// Its rest, with the number of segments before it.
    pub(crate) fn rest(&self) -> Option<(&str, usize)> {
        self.rest.as_deref().map(|name| (name, self.segments.len()))
    }

    /// What stands before its first variable, without a slash at the end; empty for the root.
    pub(crate) fn before_variables(&self) -> String {
        let literals = self.segments.iter().map_while(|segment| match segment {
            Segment::Literal(literal) => Some(&**literal),
            Segment::Variable(_) => None,
        });
        let path: String = literals.flat_map(|literal| ["/", literal]).collect();
        path.trim_end_matches('/').to_owned()
    }

    /// Whether every path it matches begins with `prefix` and goes on with `/` or ends there.
    pub fn starts_with(&self, prefix: &str) -> bool {
        let mut wanted = prefix.trim_start_matches('/').split('/');
        let mut have = self.segments.iter();
        wanted.all(
            |part| matches!(have.next(), Some(Segment::Literal(literal)) if &**literal == part),
        )
    }
}

/// Routes of one path, told apart by method.
#[derive(Clone, Debug, Default)]
struct Cell {
    routes: Vec<Arc<Route>>,
}

/// What the table says of a host and path.
#[derive(Debug)]
pub enum Found<'t> {
    /// A route of this method.
    Route(&'t Arc<Route>),
    /// Routes of this path take other methods; the first of them, and all their methods.
    OtherMethods(&'t Arc<Route>, Vec<Method>),
    /// No route of this path.
    Nothing,
}

/// A tree of segments; a path is looked up most specific first: a literal before a variable before
/// a rest, from the left.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, Self>,
    variable: Option<Box<Self>>,
    rest: Cell,
    here: Cell,
}

impl Node {
    /// The cell that stands for `pattern`, made where it is not there.
    fn cell(&mut self, pattern: &PathPattern) -> &mut Cell {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(literal) => node.literals.entry(literal.clone()).or_default(),
                Segment::Variable(_) => node.variable.get_or_insert_default(),
            };
        }
        if pattern.rest.is_some() { &mut node.rest } else { &mut node.here }
    }

    /// The cell for what is left of a path; `None` where it ended.
    fn find(&self, path: Option<&str>) -> Option<&Cell> {
        let Some(path) = path else { return self.here.filled() };
        let (segment, left) = path.split_once('/').map_or((path, None), |(s, l)| (s, Some(l)));
        let literal = self.literals.get(segment).and_then(|node| node.find(left));
        let variable = || {
            let node = self.variable.as_ref().filter(|_| !segment.is_empty());
            node.and_then(|node| node.find(left))
        };
        literal.or_else(variable).or_else(|| self.rest.filled())
    }
}

impl Node {
    fn visit<'n>(&'n self, host: usize, found: &mut Vec<Listed<'n>>) {
        for cell in [&self.here, &self.rest] {
            for (index, route) in cell.routes.iter().enumerate() {
                let speaks_for_path = index == 0;
                match found.iter_mut().find(|listed| Arc::ptr_eq(listed.route, route)) {
                    Some(listed) => listed.merge(host, speaks_for_path),
                    None => found.push(Listed { route, speaks_for_path, hosts: vec![host] }),
                }
            }
        }
        let below = self.literals.values().chain(self.variable.as_deref());
        below.for_each(|node| node.visit(host, found));
    }
}

/// A route of the table.
#[derive(Clone, Debug)]
pub struct Listed<'t> {
    /// The route.
    pub route: &'t Arc<Route>,
    /// Whether it is the one that is named where a path takes other methods.
    pub speaks_for_path: bool,
    /// The entries of the allow-list that it stands under.
    pub hosts: Vec<usize>,
}

impl Listed<'_> {
    fn merge(&mut self, host: usize, speaks_for_path: bool) {
        self.speaks_for_path |= speaks_for_path;
        if !self.hosts.contains(&host) {
            self.hosts.push(host);
        }
    }
}

impl Cell {
    fn filled(&self) -> Option<&Self> {
        (!self.routes.is_empty()).then_some(self)
    }
}

/// The finished table; one tree of paths for each entry of `hosts`.
#[derive(Debug, Default)]
pub struct RouteTable {
    hosts: Vec<Node>,
    names: BTreeSet<Arc<str>>,
    resources: Resources,
}

impl RouteTable {
    /// Names of all its routes.
    pub fn names(&self) -> &BTreeSet<Arc<str>> {
        &self.names
    }

    /// All its routes, each once, in the order of the file.
    pub fn listed(&self) -> Vec<Listed<'_>> {
        let mut found = Vec::new();
        self.hosts.iter().enumerate().for_each(|(host, node)| node.visit(host, &mut found));
        found.sort_by_key(|listed| listed.route.origin.0);
        found
    }

    /// Whether the file has a route for this very path, and not only one that takes whatever comes.
    pub(crate) fn is_said(&self, host: AllowedHost, path: &str) -> bool {
        let mut node = self.hosts.get(host.index());
        for segment in path.split('/').skip(1) {
            node = node.and_then(|node| node.literals.get(segment));
        }
        node.is_some_and(|node| node.here.filled().is_some())
    }

    /// The resources whose metadata are told.
    pub(crate) const fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Looks up a route.
    pub fn find(&self, host: AllowedHost, path: &str, method: &Method) -> Found<'_> {
        let Some(root) = self.hosts.get(host.index()) else { return Found::Nothing };
        let Some(cell) = path.strip_prefix('/').and_then(|path| root.find(Some(path))) else {
            return Found::Nothing;
        };
        if let Some(route) = cell.routes.iter().find(|route| route.methods.contains(method)) {
            return Found::Route(route);
        }
        let Some(first) = cell.routes.first() else { return Found::Nothing };
        let mut methods: Vec<Method> = Vec::new();
        for method in cell.routes.iter().flat_map(|route| &route.methods) {
            if !methods.contains(method) {
                methods.push(method.clone());
            }
        }
        Found::OtherMethods(first, methods)
    }

    /// The route that a preflight asks about: the one of the method it names.
    pub fn find_for_preflight(
        &self,
        host: AllowedHost,
        path: &str,
        requested: &Method,
    ) -> Option<&Arc<Route>> {
        match self.find(host, path, requested) {
            Found::Route(route) | Found::OtherMethods(route, _) => Some(route),
            Found::Nothing => None,
        }
    }
}

/// Collects routes and finishes the table.
#[derive(Debug)]
pub struct RouteTableBuilder {
    table: RouteTable,
}

impl RouteTableBuilder {
    /// For `hosts` entries of the allow-list.
    pub fn new(hosts: usize) -> Self {
        let resources = Resources::new(hosts);
        let hosts = std::iter::repeat_with(Node::default).take(hosts).collect();
        Self { table: RouteTable { hosts, names: BTreeSet::new(), resources } }
    }

    /// Adds `route` at `pattern` for the entry `host` of the allow-list.
    pub fn add(
        &mut self,
        host: usize,
        pattern: &PathPattern,
        route: &Arc<Route>,
    ) -> Result<(), TableError> {
        let root = self.table.hosts.get_mut(host).ok_or(TableError::NoSuchHost)?;
        let cell = root.cell(pattern);
        for other in &cell.routes {
            let same = route.methods.iter().find(|method| other.methods.contains(method));
            if let Some(method) = same {
                let (other, method) = (Arc::clone(&other.name), method.clone());
                return Err(TableError::Conflict { other, method });
            }
        }
        cell.routes.push(Arc::clone(route));
        self.table.names.insert(Arc::clone(&route.name));
        self.table.resources.add(host, pattern, route);
        Ok(())
    }

    /// The finished table.
    pub fn finish(self) -> RouteTable {
        self.table
    }
}
