//! Which of the kernel's functions serve which system calls.

use std::collections::HashMap;
use std::fs;

use libbpf_rs::btf::types::{Func, FuncProto};
use libbpf_rs::btf::{Btf, BtfKind, BtfType};

use super::WhyNot;
use crate::plans::{CALLS, FUNCTIONS, GENERIC, Wanted};

/// A function of the kernel that a program can be attached to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// Its name in the kernel's types.
    pub name: String,
    /// Its id there.
    pub id: u32,
    /// The id of its prototype. Programs that call each other must be loaded for the same one.
    pub prototype: u32,
}

/// The functions of this kernel that serve system calls, and the one that filters them.
#[derive(Debug, Default)]
pub struct Functions {
    by_name: HashMap<String, Function>,
    /// The function by which seccomp decides about a call, and whether it takes an argument.
    pub filter: Option<(Function, bool)>,
}

const FILTER: &str = "__secure_computing";

/// How the names of functions begin that take nothing but the caller's registers. Those of the last two serve calls
/// without arguments, of either ABI; what the first two call these are other names of the same place, where a second
/// program would be refused.
const PREFIXES: [&str; 4] = ["__x64_", "__ia32_", "__do_sys_", "__do_compat_sys_"];

/// Functions of a third ABI, which only kernels that serve x32 programs have.
const X32: &str = "__x64_compat_sys_";

impl Functions {
    /// Looks for them in the kernel's types.
    pub fn of(btf: &Btf<'_>) -> Functions {
        let mut functions = Functions::default();
        for function in btf.type_by_kind::<Func<'_>>() {
            let Some(name) = function.name().and_then(|name| name.to_str()) else { continue };
            if name != FILTER && !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let Some(Ok(prototype)) = function.next_type().map(FuncProto::try_from) else { continue };
            let found = Function {
                name: name.into(),
                id: function.type_id().into(),
                prototype: prototype.type_id().into(),
            };
            if name == FILTER {
                functions.filter = Some((found, prototype.len() == 1));
            } else if takes_registers(btf, &prototype) {
                // the first of several, as libbpf takes it
                functions.by_name.entry(name.into()).or_insert(found);
            }
        }
        functions
    }

    /// The functions that serve the wanted calls; of a call that this kernel doesn't have, none.
    pub fn serving(&self, wanted: &Wanted) -> Result<Vec<Function>, WhyNot> {
        if wanted.native.iter().chain(&wanted.ia32).any(|&plan| plan == GENERIC) {
            return Err(WhyNot::EveryCall);
        }
        if self.by_name.keys().any(|name| name.starts_with(X32)) {
            return Err(WhyNot::X32);
        }
        let (mut serving, mut missing) = (HashMap::new(), Vec::new());
        for call in &CALLS {
            let native = call.native.iter().filter(|number| wanted.native[**number] != 0);
            let ia32 = call.ia32.iter().filter(|number| wanted.ia32[**number] != 0);
            for (compat, &number) in native.map(|n| (false, n)).chain(ia32.map(|n| (true, n))) {
                let names = names(compat, number, call.name);
                let found: Vec<&Function> = names.iter().filter_map(|name| self.find(compat, name)).collect();
                // by default either the one or the other, of those listed in the table all
                let most = if is_listed(compat, number) { found.len() } else { 1 };
                for function in found.iter().take(most) {
                    serving.insert(function.id, (*function).clone());
                }
                if found.is_empty() {
                    missing.extend(names.into_iter().map(|name| symbol(compat, &name)));
                }
            }
        }
        if let Some(hidden) = in_kernel(&missing) {
            return Err(WhyNot::NoType { function: hidden });
        }
        let mut serving: Vec<Function> = serving.into_values().collect();
        serving.sort_by_key(|function| function.id);
        Ok(serving)
    }

    fn find(&self, compat: bool, name: &str) -> Option<&Function> {
        self.by_name.get(&format!("__do_{name}")).or_else(|| self.by_name.get(&symbol(compat, name)))
    }
}

/// Whether a function takes a pointer to registers, and nothing else.
fn takes_registers(btf: &Btf<'_>, prototype: &FuncProto<'_>) -> bool {
    let mut params = prototype.iter();
    let (Some(first), None) = (params.next(), params.next()) else { return false };
    let pointer = btf.type_by_id::<BtfType<'_>>(first.ty).filter(|ty| ty.kind() == BtfKind::Ptr);
    pointer.and_then(|pointer| pointer.next_type()).is_some_and(|ty| {
        let ty = ty.skip_mods_and_typedefs();
        ty.kind() == BtfKind::Struct && ty.name().is_some_and(|name| name == "pt_regs")
    })
}

fn symbol(compat: bool, name: &str) -> String {
    format!("{}{name}", if compat { "__ia32_" } else { "__x64_" })
}

fn listed(compat: bool, number: usize) -> Option<&'static [&'static str]> {
    FUNCTIONS.iter().find(|(abi, n, _)| (*abi, *n) == (compat, number)).map(|(.., names)| *names)
}

fn is_listed(compat: bool, number: usize) -> bool {
    listed(compat, number).is_some()
}

/// Names that the function of a call may have.
fn names(compat: bool, number: usize, call: &str) -> Vec<String> {
    match (listed(compat, number), compat) {
        (Some(names), _) => names.iter().map(ToString::to_string).collect(),
        (None, true) => vec![format!("compat_sys_{call}"), format!("sys_{call}")],
        (None, false) => vec![format!("sys_{call}")],
    }
}

/// The first of the functions that the kernel has, although its types don't tell.
fn in_kernel(functions: &[String]) -> Option<String> {
    if functions.is_empty() {
        return None;
    }
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let mut names = symbols.lines().filter_map(|line| line.split_whitespace().nth(2));
    names.find(|name| functions.iter().any(|function| function == name)).map(Into::into)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::EventSet;
    use lanner_event::types;

    /// Every call that has an event of its own, in both ABIs.
    #[test]
    fn every_call_has_a_function_in_the_running_kernel() {
        let Ok(btf) = Btf::from_vmlinux() else {
            println!("skipped: no BTF here");
            return;
        };
        let functions = Functions::of(&btf);
        let mut events = EventSet::all();
        events.remove(types::GENERIC_X);
        let serving = match functions.serving(&Wanted::of(&events)) {
            Ok(serving) => serving,
            Err(why @ (WhyNot::X32 | WhyNot::NoType { .. })) => {
                println!("skipped: {why}");
                return;
            }
            Err(why) => panic!("{why}"),
        };
        assert!(serving.len() > 300, "{}", serving.len());
        let has = |name: &str| serving.iter().any(|function| function.name == name);
        for name in
            ["__x64_sys_openat", "__x64_sys_execve", "__x64_sys_newstat", "__do_sys_setsid", "__do_sys_fork"]
        {
            assert!(has(name), "{name}");
        }
        for name in ["__ia32_compat_sys_openat", "__ia32_compat_sys_execve", "__ia32_compat_sys_ia32_clone"] {
            assert!(has(name) || !functions.by_name.contains_key("__ia32_compat_sys_execve"), "{name}");
        }
    }

    #[test]
    fn a_call_is_served_by_its_own_function_in_each_abi() {
        let Ok(btf) = Btf::from_vmlinux() else {
            println!("skipped: no BTF here");
            return;
        };
        let functions = Functions::of(&btf);
        let names = |events: &[lanner_event::EventType]| -> Result<Vec<String>, WhyNot> {
            let serving = functions.serving(&Wanted::of(&events.iter().copied().collect()))?;
            let mut names: Vec<String> = serving.into_iter().map(|function| function.name).collect();
            names.sort();
            Ok(names)
        };
        match names(&[types::SYSCALL_UNLINK_2_X]) {
            Ok(found) => assert_eq!(found, ["__ia32_sys_unlink", "__x64_sys_unlink"]),
            Err(why @ WhyNot::X32) => println!("skipped: {why}"),
            Err(why) => panic!("{why}"),
        }
        // one function for both
        assert!(names(&[types::SYSCALL_SETSID_X]).is_ok_and(|found| found == ["__do_sys_setsid"]));
        assert!(matches!(names(&[types::GENERIC_X]), Err(WhyNot::EveryCall)));
    }
}
