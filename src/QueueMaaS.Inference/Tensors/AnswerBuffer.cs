using System.Buffers;
using QueueMaaS.Inference.Batching;

namespace QueueMaaS.Inference.Tensors;

/// <summary>A buffer for an answer's text that grows to a limit and refuses what goes beyond, before it is written: what 64 MiB of numbers take as text is not known until they are.</summary>
/// <param name="mostBytes">The limit.</param>
/// <param name="expected">About so many will come.</param>
public sealed class AnswerBuffer(long mostBytes, int expected = 0) : IBufferWriter<byte>
{
    private readonly ArrayBufferWriter<byte> _written = new(Math.Max(64, (int)Math.Min(expected, mostBytes)));

    /// <summary>What was written.</summary>
    public ReadOnlyMemory<byte> Written => _written.WrittenMemory;

    /// <inheritdoc/>
    public void Advance(int count)
    {
        if (_written.WrittenCount + (long)count > mostBytes)
            throw AnswerLimit.ExceededAsText(mostBytes);
        _written.Advance(count);
    }

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (_written.WrittenCount >= mostBytes)
            throw AnswerLimit.ExceededAsText(mostBytes);
        return _written.GetMemory(sizeHint);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;
}
