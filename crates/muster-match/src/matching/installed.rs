//! The packages of a server under the names that advisories use, and what each is to a verdict.

use std::borrow::Cow;
use std::collections::BTreeMap;

use muster_core::fact::{Database, Facts, Package, Reading, is_dpkg_version};
use muster_core::finding::KernelObject;
use muster_core::kernel::{self, Carries};
use muster_core::owed;

/// The packages that can be judged, by the source that advisories name.
pub(super) struct Installed<'f> {
    pub(super) by_source: BTreeMap<Cow<'f, str>, Vec<Unit<'f>>>,
    /// By the source of a kernel, the packages that only depend on its newest image.
    pub(super) metas: BTreeMap<Cow<'f, str>, Vec<&'f Package>>,
}

/// A package, and what it is to a verdict.
#[derive(Clone, Debug)]
pub(super) struct Unit<'f> {
    pub(super) package: &'f Package,
    /// The version of the source, under the name that advisories use.
    pub(super) source_version: Cow<'f, str>,
    pub(super) role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It carries the code.
    Code,
    /// It cannot carry a flaw of the kernel: headers, documentation, programs beside it.
    Headers,
    /// It is a kernel that counts, in these ways; in none: it is left over.
    Kernel(Vec<KernelObject>),
}

impl<'f> Installed<'f> {
    pub(super) fn of(database: Database, facts: &'f Facts) -> Self {
        let mut by_source: BTreeMap<Cow<'f, str>, Vec<Unit<'f>>> = BTreeMap::new();
        let mut metas: BTreeMap<Cow<'f, str>, Vec<&'f Package>> = BTreeMap::new();
        for package in facts.packages.iter().filter(|p| !owed::is_third_party(p, facts)) {
            let (source, source_version) = advisory_source(package, facts);
            // The inspector has said of it that it cannot be judged.
            if database == Database::Dpkg && !is_dpkg_version(&source_version) {
                continue;
            }
            let Some(role) = role(&source, package) else {
                metas.entry(source).or_default().push(package);
                continue;
            };
            by_source.entry(source).or_default().push(Unit { package, source_version, role });
        }
        for units in by_source.values_mut() {
            tell_kernels_apart(units, database, facts);
        }
        Self { by_source, metas }
    }
}

/// A package that only depends on others carries nothing that could be judged.
fn role(source: &str, package: &Package) -> Option<Role> {
    if !kernel::is_kernel_source(source) {
        return Some(Role::Code);
    }
    match kernel::carries(&package.name) {
        Carries::Meta => None,
        Carries::Headers | Carries::Tools => Some(Role::Headers),
        Carries::Image => Some(Role::Kernel(Vec::new())),
    }
}

/// Returns the source and its version under which advisories file a package.
fn advisory_source<'f>(package: &'f Package, facts: &'f Facts) -> (Cow<'f, str>, Cow<'f, str>) {
    if let Some(proof) = facts.kernels.sources.iter().find(|s| s.image == package.name) {
        return (Cow::Borrowed(&proof.source), Cow::Borrowed(&proof.version));
    }
    let source = package.source();
    let by_name = kernel::source_by_name(source);
    if by_name == source {
        return (Cow::Borrowed(source), Cow::Borrowed(package.source_version()));
    }
    // A signed package's own source has a version of another kind (`6.1.76+1`); the binary bears that of the code.
    (by_name, Cow::Borrowed(&package.version))
}

/// Finds, among the images of one source, those that run, boot next, or are the newest. The others are left over.
fn tell_kernels_apart(units: &mut [Unit<'_>], database: Database, facts: &Facts) {
    let scheme = database.scheme();
    let newest = units
        .iter()
        .filter(|u| matches!(u.role, Role::Kernel(_)))
        .map(|u| u.source_version.clone())
        .max_by(|a, b| scheme.compare_lenient(a, b));
    let Some(newest) = newest else { return };
    for unit in units {
        let Role::Kernel(objects) = &mut unit.role else { continue };
        let release = kernel_release(unit.package, database);
        let is = |reading: &Reading<String>| {
            reading.found().is_some_and(|r| Some(r) == release.as_ref())
        };
        if is(&facts.kernels.running) {
            objects.push(KernelObject::Running);
        }
        if unit.source_version == newest {
            objects.push(KernelObject::Installed);
        }
        if is(&facts.kernels.next_boot) {
            objects.push(KernelObject::NextBoot);
        }
    }
}

/// Returns what `uname -r` says when the package's kernel runs.
pub fn kernel_release(package: &Package, database: Database) -> Option<String> {
    kernel::release_of(package, database)
}
