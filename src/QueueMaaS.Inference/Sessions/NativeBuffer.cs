using System.Runtime.InteropServices;

namespace QueueMaaS.Inference.Sessions;

/// <summary>Memory outside the garbage collector's reach that grows to the largest batch and stays: nothing to pin, nothing to allocate on the steady path.</summary>
internal sealed unsafe class NativeBuffer : IDisposable
{
    // A cache line, and what the widest vector instructions like best.
    private const nuint Alignment = 64;

    private void* _memory;
    private nuint _capacity;

    public nint Address => (nint)_memory;

    /// <summary>The first <paramref name="length"/> bytes; what was in them is lost when the buffer has to grow.</summary>
    public Span<byte> Take(int length)
    {
        if (_memory is null || (nuint)length > _capacity)
        {
            NativeMemory.AlignedFree(_memory);
            _memory = null;
            _capacity = Math.Max((nuint)length, 256);
            _memory = NativeMemory.AlignedAlloc(_capacity, Alignment);
        }

        return new(_memory, length);
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_memory);
        _memory = null;
    }
}
