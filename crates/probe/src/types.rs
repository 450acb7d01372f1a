//! What this kernel's types say: the numbers that programs need, and an extract for libbpf.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use libbpf_rs::ObjectBuilder;
use libbpf_rs::libbpf_sys::bpf_insn;

use crate::btf::{Kind, Types};
use crate::require::BTF;
use crate::sys;

include!(concat!(env!("OUT_DIR"), "/types.rs"));

/// What it is asked for beside the types of casts: tracepoints where programs are, functions, structures.
pub const ASKED: [(Kind, &str); 33] = [
    (Kind::TYPEDEF, "btf_trace_sys_enter"),
    (Kind::TYPEDEF, "btf_trace_sys_exit"),
    (Kind::TYPEDEF, "btf_trace_sched_process_fork"),
    (Kind::TYPEDEF, "btf_trace_sched_process_exec"),
    (Kind::TYPEDEF, "btf_trace_sched_process_exit"),
    (Kind::TYPEDEF, "btf_trace_task_rename"),
    (Kind::TYPEDEF, "btf_trace_sched_switch"),
    (Kind::TYPEDEF, "btf_trace_cgroup_mkdir"),
    (Kind::TYPEDEF, "btf_trace_cgroup_rmdir"),
    (Kind::TYPEDEF, "btf_trace_signal_deliver"),
    (Kind::TYPEDEF, "btf_trace_io_uring_complete"),
    (Kind::TYPEDEF, "btf_trace_io_uring_submit_req"),
    (Kind::TYPEDEF, "btf_trace_io_uring_submit_sqe"),
    (Kind::FUNC, CAST),
    (Kind::FUNC, TASK_BY_ID),
    (Kind::FUNC, "putname"),
    (Kind::FUNC, "do_getname"),
    (Kind::FUNC, "do_getname_kernel"),
    (Kind::FUNC, "strndup_user"),
    (Kind::FUNC, "security_sb_mount"),
    (Kind::FUNC, "vfs_parse_fs_param"),
    (Kind::FUNC, "security_socket_bind"),
    (Kind::FUNC, "security_socket_connect"),
    (Kind::FUNC, "security_socket_sendmsg"),
    (Kind::FUNC, "move_addr_to_kernel"),
    (Kind::FUNC, "move_addr_to_user"),
    (Kind::FUNC, "____sys_sendmsg"),
    (Kind::FUNC, "__sys_bind"),
    (Kind::FUNC, "__sys_connect"),
    (Kind::FUNC, "__sys_sendto"),
    (Kind::FUNC, "__sys_sendmsg"),
    (Kind::STRUCT, "io_cmd_data"),
    (Kind::STRUCT, "__filename_head"),
];

/// The function by which programs say what an address points to: since 6.2.
const CAST: &str = "bpf_rdonly_cast";

/// The function by which programs find the thread that a record names: since 6.2.
pub const TASK_BY_ID: &str = "bpf_task_from_pid";

/// The tracepoint at which numbers of parameters differ, by its type's name.
const COMPLETION: &str = "btf_trace_io_uring_complete";

/// Instructions of programs in which constants stand for types: what stands there, and the kernel's number.
#[derive(Clone, Copy)]
pub struct Casts([(u32, u32); CASTS.len()]);

impl Casts {
    /// Writes the kernel's numbers into a program. `None`: it has none of them.
    pub fn fit(&self, code: &[bpf_insn]) -> Option<Vec<bpf_insn>> {
        let place = |one: &bpf_insn| self.0.iter().find(|(constant, _)| one.imm as u32 == *constant);
        code.iter().any(|one| place(one).is_some()).then(|| {
            let mut code = code.to_vec();
            for one in &mut code {
                if let Some((_, number)) = self.0.iter().find(|(constant, _)| one.imm as u32 == *constant) {
                    one.imm = *number as i32;
                }
            }
            code
        })
    }
}

/// What they say.
pub struct KernelTypes {
    numbers: HashMap<(Kind, &'static str), u32>,
    /// For programs that say what an address points to.
    pub casts: Casts,
    /// How many parameters the programs at io_uring's completions are given, with one that belongs to all.
    pub of_completions: Option<usize>,
    /// The types that programs ask for and no others, in a file that is gone when this is dropped.
    extract: Option<File>,
}

impl KernelTypes {
    /// Reads them. `None`: this kernel doesn't tell them, or in a form that isn't known here.
    pub fn read() -> Option<KernelTypes> {
        let types = Types::parse(std::fs::read(BTF).ok()?)?;
        let of_casts = CASTS.map(|(_, name)| (Kind::STRUCT, name));
        let numbers = types.find(&[&ASKED[..], &of_casts].concat());
        let number = |key| numbers.get(&key).copied();
        let names: HashSet<&[u8]> = ASKED_FOR.iter().map(|name| name.as_bytes()).collect();
        let extract = types.extract(&names).and_then(|bytes| sys::memory_file(c"types", &bytes).ok());
        let of_completions = number((Kind::TYPEDEF, COMPLETION)).and_then(|id| types.parameters(id));
        let casts = CASTS.map(|(constant, name)| (constant, number((Kind::STRUCT, name)).unwrap_or(0)));
        Some(KernelTypes { casts: Casts(casts), of_completions, extract, numbers })
    }

    /// The number of a tracepoint's type.
    pub fn tracepoint(&self, name: &str) -> Option<u32> {
        self.number(Kind::TYPEDEF, &format!("btf_trace_{name}"))
    }

    /// The number of a function.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.number(Kind::FUNC, name)
    }

    /// Whether there is a structure.
    pub fn has_structure(&self, name: &str) -> bool {
        self.number(Kind::STRUCT, name).is_some()
    }

    /// Whether programs can say what an address points to.
    pub fn can_cast(&self) -> bool {
        self.function(CAST).is_some() && self.casts.0.iter().all(|(_, number)| *number != 0)
    }

    fn number(&self, kind: Kind, name: &str) -> Option<u32> {
        self.numbers.get(&(kind, name)).copied()
    }

    /// Where libbpf finds the extract, if that can be.
    fn extract(&self) -> Option<PathBuf> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.extract.as_ref()?.as_raw_fd()));
        path.exists().then_some(path)
    }
}

/// Has an object's programs fitted to these types: to the extract if there is one, else to all that the kernel has.
pub fn fit_to(types: Option<&KernelTypes>, object: &mut ObjectBuilder) {
    if let Some(path) = types.and_then(KernelTypes::extract) {
        // what can go wrong is a path with a zero in it
        let _ = object.btf_custom_path(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that is looked for, in the running kernel, as libbpf finds it.
    #[test]
    fn types_have_the_numbers_that_the_kernel_gave_them() {
        use libbpf_rs::btf::Btf;
        use libbpf_rs::btf::types::{Func, Struct, Typedef};
        let (Ok(btf), Some(types)) = (Btf::from_vmlinux(), KernelTypes::read()) else {
            println!("skipped: no BTF here");
            return;
        };
        for (kind, name) in ASKED.into_iter().chain(CASTS.map(|(_, name)| (Kind::STRUCT, name))) {
            let number: Option<u32> = match kind {
                Kind::TYPEDEF => btf.type_by_name::<Typedef<'_>>(name).map(|ty| ty.type_id().into()),
                Kind::FUNC => btf.type_by_name::<Func<'_>>(name).map(|ty| ty.type_id().into()),
                _ => btf.type_by_name::<Struct<'_>>(name).map(|ty| ty.type_id().into()),
            };
            assert_eq!(types.number(kind, name), number, "{name}");
        }
        let by_value = types.of_completions.is_some_and(|parameters| parameters > 4);
        println!("completions by value: {by_value}, extract: {:?}", types.extract());
        assert!(types.extract().is_some());
    }

    #[test]
    fn constants_make_room_for_the_numbers_of_types() {
        let casts = Casts(std::array::from_fn(|n| (CASTS[n].0, n as u32 + 7)));
        let one = |imm: u32| bpf_insn { imm: imm as i32, ..Default::default() };
        assert!(casts.fit(&[one(1), one(2)]).is_none());
        let code = casts.fit(&[one(1), one(CASTS[1].0), one(CASTS[0].0)]).unwrap();
        assert_eq!(code.iter().map(|one| one.imm).collect::<Vec<_>>(), [1, 8, 7]);
    }
}
