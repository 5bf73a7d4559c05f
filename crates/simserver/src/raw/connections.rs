use super::connection::Connection;

/// A connection's place in the table. Its generation tells it from earlier ones at the same slot,
/// which late events may still mean.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl Place {
    /// For epoll's user data.
    pub(crate) fn to_data(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// The reverse of [`Self::to_data`].
    pub(crate) const fn from_data(data: u64) -> Self {
        Self { slot: data as u32, generation: (data >> 32) as u32 }
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

/// The open connections.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Connections {
    /// The place that the next [`Self::insert`] fills.
    pub(crate) fn next_place(&self) -> Place {
        let slot = self.free.last().copied().unwrap_or(self.slots.len() as u32);
        let generation = self.slots.get(slot as usize).map_or(0, |slot| slot.generation);
        Place { slot, generation }
    }

    /// Adds a connection.
    pub(crate) fn insert(&mut self, connection: Connection) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        self.slots[slot as usize].connection = Some(connection);
    }

    /// `None` when it is closed already.
    pub(crate) fn find(&mut self, place: Place) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(place.slot as usize)?;
        if slot.generation == place.generation { slot.connection.as_mut() } else { None }
    }

    /// Takes a connection out; dropping it closes it.
    pub(crate) fn remove(&mut self, place: Place) -> Option<Connection> {
        self.find(place)?;
        let slot = &mut self.slots[place.slot as usize];
        // Below the values that stand for the server's own files.
        slot.generation = (slot.generation + 1) & 0x7fff_ffff;
        self.free.push(place.slot);
        slot.connection.take()
    }

    /// Takes all connections out.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Connection> {
        self.slots.drain(..).filter_map(|slot| slot.connection)
    }
}
