//! Every learned number of a run, in one flat fp32 buffer.
//!
//! libtorch's optimizers can neither save nor load their momentum through `tch`, so the optimizer is ours, and it wants
//! one buffer rather than sixty tensors. Each parameter is a leaf that shares the buffer's memory: writing the buffer
//! moves the weights. Convolution weights lie in it channels-last, the layout that the convolutions read.
//!
//! Two phases: parameters are declared with [`Params::add`], then [`Params::freeze`] lays the buffer out.

use tch::{Device, Kind, Tensor};

use super::cuda;

/// Names a parameter of a [`Params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamId(usize);

/// Names a buffer of a [`Params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferId(usize);

struct Param {
    name: String,
    /// Logical shape, torchvision's order.
    shape: Vec<i64>,
    offset: i64,
    len: i64,
    /// Shares memory with the flat buffer; requires a gradient.
    leaf: Tensor,
}

/// The parameters of model and objective, and the buffers (batch-norm statistics) that are kept but not learned.
pub struct Params {
    device: Device,
    params: Vec<Param>,
    buffers: Vec<(String, Tensor)>,
    flat: Tensor,
    cast: Option<Cast>,
}

/// The convolutions' weights in another kind than fp32, as they were when they were cast.
struct Cast {
    kind: Kind,
    /// As many as there are parameters, None for those that are no convolution's; they require gradients of that kind.
    leaves: Vec<Option<Tensor>>,
}

impl Params {
    pub fn new(device: Device) -> Self {
        let flat = Tensor::zeros([0], (Kind::Float, device));
        Self { device, params: Vec::new(), buffers: Vec::new(), flat, cast: None }
    }

    /// Number of declared parameters, buffers apart.
    pub fn len(&self) -> usize {
        self.params.len()
    }

    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// Declares a parameter with its initial value (fp32, any device).
    pub fn add(&mut self, name: impl Into<String>, init: Tensor) -> ParamId {
        let offset = self.params.last().map_or(0, |last| last.offset + last.len);
        let len = init.numel() as i64;
        let param = Param { name: name.into(), shape: init.size(), offset, len, leaf: init };
        self.params.push(param);
        ParamId(self.params.len() - 1)
    }

    /// Declares a buffer with its initial value.
    pub fn add_buffer(&mut self, name: impl Into<String>, init: Tensor) -> BufferId {
        self.buffers.push((name.into(), init.to_device(self.device)));
        BufferId(self.buffers.len() - 1)
    }

    /// Moves all declared parameters into one buffer; from here on [`Params::get`] hands out leaves of it.
    pub fn freeze(&mut self) {
        let parts: Vec<Tensor> = self.params.iter().map(|p| storage_order(&p.leaf)).collect();
        let parts: Vec<Tensor> = parts.iter().map(|part| part.to_device(self.device)).collect();
        self.flat = Tensor::cat(&parts, 0).detach();
        for param in &mut self.params {
            param.leaf = leaf(&self.flat, param).set_requires_grad(true);
        }
    }

    /// A copy in memory of its own, parameters and buffers, that no gradient reaches: for encoders that follow this
    /// one.
    pub fn shadow(&self) -> Params {
        let flat = self.flat.copy();
        let own = |p: &Param| Param {
            name: p.name.clone(),
            shape: p.shape.clone(),
            offset: p.offset,
            len: p.len,
            leaf: leaf(&flat, p),
        };
        Params {
            device: self.device,
            params: self.params.iter().map(own).collect(),
            buffers: self.buffers.iter().map(|(n, t)| (n.clone(), t.copy())).collect(),
            flat,
            cast: None,
        }
    }

    /// The leaf of a parameter, in its logical shape.
    pub fn get(&self, id: ParamId) -> &Tensor {
        &self.params[id.0].leaf
    }

    /// A parameter in another kind. Its gradient reaches the leaf.
    pub fn get_as(&self, id: ParamId, kind: Kind) -> Tensor {
        let cast = self.cast.as_ref().filter(|cast| cast.kind == kind);
        match cast.and_then(|cast| cast.leaves[id.0].as_ref()) {
            Some(leaf) => leaf.shallow_clone(),
            None => self.get(id).to_kind(kind),
        }
    }

    /// Casts all convolutions' weights at once, for [`Params::get_as`] and the [`Params::gradient`] that follows, instead of
    /// each where it is used: on a device, twenty operations fewer on the way there and as many on the way back. What
    /// changes the parameters has to call [`Params::uncast`] before anybody reads them again.
    pub fn cast(&mut self, kind: Kind) {
        let flat = self.flat.to_kind(kind);
        let of = |p: &Param| (p.shape.len() == 4).then(|| leaf(&flat, p).set_requires_grad(true));
        self.cast = Some(Cast { kind, leaves: self.params.iter().map(of).collect() });
    }

    pub fn uncast(&mut self) {
        self.cast = None;
    }

    /// A buffer, to be written in place.
    pub fn buffer(&self, id: BufferId) -> &Tensor {
        &self.buffers[id.0].1
    }

    /// All parameters in one row, `(P,)` fp32, in storage order.
    pub fn flat(&self) -> &Tensor {
        &self.flat
    }

    /// Gradient of a scalar loss with respect to [`Params::flat`], `(P,)`; zero where the loss does not depend on it.
    pub fn gradient(&self, loss: &Tensor) -> Tensor {
        let casts = self.cast.iter().flat_map(|cast| &cast.leaves);
        let leaves: Vec<&Tensor> =
            self.params.iter().map(|p| &p.leaf).chain(casts.flatten()).collect();
        let grads = Tensor::run_backward(&[loss], &leaves, false, false);
        let (plain, cast) = grads.split_at(self.params.len());
        let mut cast = cast.iter();
        let mut part = |(i, param): (usize, &Param)| {
            let is_cast = self.cast.as_ref().is_some_and(|cast| cast.leaves[i].is_some());
            let cast = if is_cast { cast.next().filter(|grad| grad.defined()) } else { None };
            match (&plain[i], cast) {
                (plain, Some(cast)) if plain.defined() => storage_order(&(plain + cast)),
                (_, Some(cast)) => storage_order(cast),
                (plain, None) if plain.defined() => storage_order(plain),
                (_, None) => Tensor::zeros([param.len], (Kind::Float, self.device)),
            }
        };
        let parts: Vec<Tensor> = self.params.iter().enumerate().map(&mut part).collect();
        let at_once = if self.device == Device::Cpu { None } else { self.gathered(&parts) };
        at_once.unwrap_or_else(|| {
            let parts: Vec<Tensor> = parts.iter().map(|part| part.to_kind(Kind::Float)).collect();
            Tensor::cat(&parts, 0)
        })
    }

    /// Rows in the parameters' order, of whatever kinds, as one of fp32, `(P,)`, in a few launches.
    fn gathered(&self, parts: &[Tensor]) -> Option<Tensor> {
        let flat = self.flat.empty_like();
        let places: Vec<Tensor> =
            self.params.iter().map(|p| flat.narrow(0, p.offset, p.len)).collect();
        // Those of one kind together, as libtorch wants it.
        let kinds = [Kind::Float, Kind::BFloat16];
        if !parts.iter().all(|part| kinds.contains(&part.kind())) {
            return None;
        }
        kinds.into_iter().try_for_each(|kind| {
            let of_kind = places.iter().zip(parts).filter(|(_, part)| part.kind() == kind);
            let (to, from): (Vec<&Tensor>, Vec<&Tensor>) = of_kind.unzip();
            (to.is_empty() || cuda::copy_all(&to, &from)).then_some(())
        })?;
        Some(flat)
    }

    /// A row in storage order, `(P,)`, cut into named contiguous tensors in logical shape: what a checkpoint keeps.
    pub fn named(&self, row: &Tensor) -> Vec<(String, Tensor)> {
        let cut = |p: &Param| logical(&row.narrow(0, p.offset, p.len), &p.shape).contiguous();
        self.params.iter().map(|p| (p.name.clone(), cut(p))).collect()
    }

    /// The inverse of [`Params::named`]: one row from tensors found by name.
    ///
    /// # Errors
    /// The name and what is wrong with it, when a tensor is missing or has another shape.
    pub fn row(&self, find: impl Fn(&str) -> Option<Tensor>) -> Result<Tensor, String> {
        let mut parts = Vec::with_capacity(self.params.len());
        for param in &self.params {
            let found = find(&param.name).ok_or_else(|| format!("{} is missing", param.name))?;
            if found.size() != param.shape {
                let (name, want, got) = (&param.name, &param.shape, found.size());
                return Err(format!("{name} has shape {got:?}, the model wants {want:?}"));
            }
            parts.push(storage_order(&found).to_device(self.device));
        }
        Ok(Tensor::cat(&parts, 0))
    }

    /// Overwrites every parameter with a row in storage order, `(P,)`.
    pub fn load(&mut self, row: &Tensor) {
        tch::no_grad(|| self.flat.copy_(row));
    }

    /// Overwrites parameters and buffers with tensors found by name.
    ///
    /// # Errors
    /// The name and what is wrong with it, when a tensor is missing or has another shape. Nothing is written then.
    pub fn fill(&mut self, find: impl Fn(&str) -> Option<Tensor>) -> Result<(), String> {
        let row = self.row(&find)?;
        let mut found = Vec::with_capacity(self.buffers.len());
        for (name, buffer) in &self.buffers {
            let saved = find(name).ok_or_else(|| format!("{name} is missing"))?;
            if saved.size() != buffer.size() {
                return Err(format!("{name} has another shape"));
            }
            found.push(saved);
        }
        self.load(&row);
        for ((_, buffer), saved) in self.buffers.iter_mut().zip(&found) {
            buffer.copy_(saved);
        }
        Ok(())
    }

    pub fn buffers(&self) -> &[(String, Tensor)] {
        &self.buffers
    }
}

/// A parameter as a view of `flat`, outside any graph.
fn leaf(flat: &Tensor, param: &Param) -> Tensor {
    logical(&flat.narrow(0, param.offset, param.len), &param.shape).detach()
}

/// The elements in the order the flat buffer holds them: 4-D weights as (O, KH, KW, I), the rest as they are.
fn storage_order(xs: &Tensor) -> Tensor {
    let xs = xs.detach();
    if xs.dim() == 4 { xs.permute([0, 2, 3, 1]).reshape([-1]) } else { xs.reshape([-1]) }
}

/// The inverse of [`storage_order`], as a view.
fn logical(flat: &Tensor, shape: &[i64]) -> Tensor {
    match shape {
        &[o, i, kh, kw] => flat.view([o, kh, kw, i]).permute([0, 3, 1, 2]),
        shape => flat.view(shape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(shape: &[i64]) -> Tensor {
        Tensor::arange(shape.iter().product::<i64>(), (Kind::Float, Device::Cpu)).view(shape)
    }

    #[test]
    fn leaves_share_the_flat_buffer_and_names_round_trip() {
        let mut params = Params::new(Device::Cpu);
        let w = params.add("w", ramp(&[2, 3, 2, 2]));
        let b = params.add("b", ramp(&[3]));
        params.freeze();
        assert_eq!(params.get(w), &ramp(&[2, 3, 2, 2]));
        params.load(&(params.flat() + 1.0));
        assert_eq!(params.get(b), &(ramp(&[3]) + 1.0));
        let named = params.named(params.flat());
        let find = |name: &str| {
            named.iter().find(|(n, _)| n == name).map(|(_, tensor)| tensor.shallow_clone())
        };
        assert_eq!(&params.row(find).unwrap(), params.flat());
        assert_eq!(params.row(|_| None).unwrap_err(), "w is missing");
    }

    #[test]
    fn the_gradient_lies_in_the_order_of_the_parameters() {
        let mut params = Params::new(Device::Cpu);
        let w = params.add("w", ramp(&[2, 3, 2, 2]));
        params.freeze();
        let weights = ramp(&[2, 3, 2, 2]) * 2.0;
        let loss = (params.get(w) * &weights).sum(Kind::Float);
        let gradient = params.gradient(&loss);
        assert_eq!(params.named(&gradient)[0].1, weights);
    }

    #[test]
    fn weights_that_are_cast_together_have_the_gradient_of_those_cast_alone() {
        let mut params = Params::new(Device::Cpu);
        let b = params.add("b", ramp(&[2]));
        let w = params.add("w", ramp(&[2, 3, 2, 2]) / 7.0);
        let _unused = params.add("unused", ramp(&[1, 2, 1, 1]));
        params.freeze();
        let loss = |params: &Params| {
            let half = params.get_as(w, Kind::BFloat16);
            let sum = (&half * &half).sum(Kind::Float);
            sum + (params.get_as(b, Kind::Float) * 3.0).sum(Kind::Float)
        };
        let alone = params.gradient(&loss(&params));
        params.cast(Kind::BFloat16);
        let together = params.gradient(&loss(&params));
        assert_eq!(alone, together);
        assert!(0.0 < together.abs().max().double_value(&[]));
        // What the device does with them.
        let row = |p: &Param, kind| (together.narrow(0, p.offset, p.len)).to_kind(kind);
        let kinds = [Kind::Float, Kind::BFloat16, Kind::BFloat16];
        let parts: Vec<Tensor> = params.params.iter().zip(kinds).map(|(p, k)| row(p, k)).collect();
        assert_eq!(params.gathered(&parts), Some(together));
        params.uncast();
        assert_eq!(params.get_as(w, Kind::Float), params.get(w).shallow_clone());
    }

    #[test]
    fn what_a_loss_does_not_see_has_no_gradient() {
        let mut params = Params::new(Device::Cpu);
        let w = params.add("w", ramp(&[3]));
        let _unused = params.add("unused", ramp(&[2]));
        params.freeze();
        let gradient = params.gradient(&params.get(w).sum(Kind::Float));
        assert_eq!(gradient, Tensor::from_slice(&[1f32, 1.0, 1.0, 0.0, 0.0]));
    }
}
