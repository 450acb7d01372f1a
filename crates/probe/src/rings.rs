//! The ring buffers, and the map that says which of them a CPU writes to.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::thread::JoinHandle;

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType, libbpf_sys};

use crate::load::map_error;
use crate::sys::Ring;
use crate::{ProbeError, ProbeOptions};

type MapOptions = libbpf_sys::bpf_map_create_opts;

/// The rings' maps: one for each group of CPUs.
pub struct Rings {
    /// The rings.
    pub maps: Vec<MapHandle>,
    /// Bytes of each.
    pub bytes: usize,
    /// For each CPU its ring.
    pub by_cpu: MapHandle,
    /// How many CPUs there can be.
    pub cpus: u32,
    filling: Option<JoinHandle<libbpf_rs::Result<()>>>,
}

impl Rings {
    /// Makes them. Which CPU has which is written on another thread, for the kernel takes its time over each: it waits
    /// for programs that may still use what was there before.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn create(options: &ProbeOptions) -> Result<Rings, ProbeError> {
        let error = |source| ProbeError::Map { map: "ring".into(), source };
        let cpus = libbpf_rs::num_possible_cpus().map_err(map_error("rings"))?;
        let bytes = options.ring_bytes.max(4096).next_power_of_two();
        let size = u32::try_from(bytes).map_err(|_| {
            error(io::Error::new(io::ErrorKind::InvalidInput, format!("{bytes} bytes are too many")))
        })?;
        let per_ring = options.cpus_per_ring.max(1);
        let maps = (0..cpus.div_ceil(per_ring))
            .map(|_| MapHandle::create(MapType::RingBuf, Some("lanner_ring"), 0, 0, size, &map_options(0)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(map_error("ring"))?;
        let first =
            maps.first().ok_or_else(|| error(io::Error::other("the machine says that it has no CPU")))?;
        let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
        let inner = map_options(first.as_fd().as_raw_fd() as u32);
        let by_cpu = MapHandle::create(MapType::ArrayOfMaps, Some("rings"), 4, 4, cpus, &inner)
            .map_err(map_error("rings"))?;
        let doubled = || -> libbpf_rs::Result<_> {
            let rings = maps.iter().map(MapHandle::try_from).collect::<Result<Vec<_>, _>>()?;
            Ok((MapHandle::try_from(&by_cpu)?, rings))
        };
        let (table, rings) = doubled().map_err(map_error("rings"))?;
        let filling = std::thread::spawn(move || fill(&table, cpus, &rings, per_ring));
        Ok(Rings { maps, bytes, by_cpu, cpus, filling: Some(filling) })
    }

    /// Maps their memory, and waits until each CPU has its ring.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn map(&mut self) -> Result<Vec<Ring>, ProbeError> {
        let rings = self
            .maps
            .iter()
            .map(|map| Ring::new(map.as_fd(), self.bytes))
            .collect::<io::Result<Vec<_>>>()
            .map_err(|source| ProbeError::Map { map: "ring".into(), source })?;
        if let Some(filling) = self.filling.take() {
            // a panic there is one of ours
            let filled = filling.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            filled.map_err(map_error("rings"))?;
        }
        Ok(rings)
    }
}

impl Drop for Rings {
    /// No other thread is left when privileges are given up.
    fn drop(&mut self) {
        if let Some(filling) = self.filling.take() {
            let _ = filling.join();
        }
    }
}

fn map_options(inner_map_fd: u32) -> MapOptions {
    MapOptions { sz: size_of::<MapOptions>() as libbpf_sys::size_t, inner_map_fd, ..Default::default() }
}

fn fill(table: &MapHandle, cpus: u32, rings: &[MapHandle], per_ring: usize) -> libbpf_rs::Result<()> {
    for cpu in 0..cpus {
        let Some(ring) = rings.get(cpu as usize / per_ring) else { continue };
        let fd = ring.as_fd().as_raw_fd().to_ne_bytes();
        table.update(&cpu.to_ne_bytes(), &fd, MapFlags::ANY)?;
    }
    Ok(())
}
