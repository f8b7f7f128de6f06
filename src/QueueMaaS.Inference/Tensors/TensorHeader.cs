namespace QueueMaaS.Inference.Tensors;

/// <summary>What a request says of a tensor beside its values.</summary>
/// <param name="Name">The input's name.</param>
/// <param name="Datatype">Its datatype as the request spells it.</param>
/// <param name="Shape">Its size along each axis as the request gives it; not checked yet.</param>
public sealed record TensorHeader(string Name, string Datatype, long[] Shape);
