//! The route table: host first, then the most specific path, then the method.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use http::Method;
use portcullis_core::CanonicalPath;
use thiserror::Error;

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
    /// The set of paths cannot be told apart.
    #[error("the path {path} cannot be told apart from another")]
    Indistinct {
        /// The path, with variables named by position.
        path: String,
    },
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

    /// Whether every path it matches begins with `prefix` and goes on with `/` or ends there.
    pub fn starts_with(&self, prefix: &str) -> bool {
        let mut wanted = prefix.trim_start_matches('/').split('/');
        let mut have = self.segments.iter();
        wanted.all(
            |part| matches!(have.next(), Some(Segment::Literal(literal)) if &**literal == part),
        )
    }

    /// The form `matchit` takes, with variables named by position so that names never clash.
    fn keys(&self) -> (String, Option<String>) {
        let mut key = String::new();
        for (index, segment) in self.segments.iter().enumerate() {
            key.push('/');
            match segment {
                Segment::Literal(literal) => key.push_str(literal),
                Segment::Variable(_) => {
                    key.push_str("{v");
                    key.push_str(&index.to_string());
                    key.push('}');
                }
            }
        }
        match self.rest {
            None => (key, None),
            Some(_) => (format!("{key}/{{*rest}}"), Some(format!("{key}/"))),
        }
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

/// The finished table; one tree of paths for each entry of `hosts`.
#[derive(Debug, Default)]
pub struct RouteTable {
    hosts: Vec<matchit::Router<Cell>>,
    names: BTreeSet<Arc<str>>,
}

impl RouteTable {
    /// Names of all its routes.
    pub fn names(&self) -> &BTreeSet<Arc<str>> {
        &self.names
    }

    /// Looks up a route.
    pub fn find(&self, host: AllowedHost, path: &str, method: &Method) -> Found<'_> {
        let Some(paths) = self.hosts.get(host.index()) else { return Found::Nothing };
        let Ok(at_path) = paths.at(path) else { return Found::Nothing };
        let routes = &at_path.value.routes;
        if let Some(route) = routes.iter().find(|route| route.methods.contains(method)) {
            return Found::Route(route);
        }
        let Some(first) = routes.first() else { return Found::Nothing };
        let mut methods: Vec<Method> = Vec::new();
        for method in routes.iter().flat_map(|route| &route.methods) {
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
    hosts: Vec<HashMap<String, Cell>>,
    implied: Vec<HashMap<String, Cell>>,
}

impl RouteTableBuilder {
    /// For `hosts` entries of the allow-list.
    pub fn new(hosts: usize) -> Self {
        Self { hosts: vec![HashMap::new(); hosts], implied: vec![HashMap::new(); hosts] }
    }

    /// Adds `route` at `pattern` for the entry `host` of the allow-list.
    pub fn add(
        &mut self,
        host: usize,
        pattern: &PathPattern,
        route: &Arc<Route>,
    ) -> Result<(), TableError> {
        let (key, implied) = pattern.keys();
        if let Some(cells) = self.hosts.get_mut(host) {
            insert(cells, key, route)?;
        }
        if let (Some(key), Some(cells)) = (implied, self.implied.get_mut(host)) {
            insert(cells, key, route)?;
        }
        Ok(())
    }

    /// The finished table. A rest may be empty: `/x/{*rest}` takes `/x/` too, unless a route says
    /// `/x/` itself.
    pub fn finish(self) -> Result<RouteTable, TableError> {
        let mut table = RouteTable::default();
        for (mut cells, implied) in self.hosts.into_iter().zip(self.implied) {
            for (key, cell) in implied {
                cells.entry(key).or_insert(cell);
            }
            let mut router = matchit::Router::new();
            for (key, cell) in cells {
                table.names.extend(cell.routes.iter().map(|route| Arc::clone(&route.name)));
                let inserted = router.insert(key.clone(), cell);
                inserted.map_err(|_| TableError::Indistinct { path: key })?;
            }
            table.hosts.push(router);
        }
        Ok(table)
    }
}

fn insert(
    cells: &mut HashMap<String, Cell>,
    key: String,
    route: &Arc<Route>,
) -> Result<(), TableError> {
    let cell = cells.entry(key).or_default();
    for other in &cell.routes {
        if let Some(method) = route.methods.iter().find(|method| other.methods.contains(method)) {
            let (other, method) = (Arc::clone(&other.name), method.clone());
            return Err(TableError::Conflict { other, method });
        }
    }
    cell.routes.push(Arc::clone(route));
    Ok(())
}
