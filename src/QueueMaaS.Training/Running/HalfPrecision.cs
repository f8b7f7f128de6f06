using System.Runtime.Intrinsics.X86;
using QueueMaaS.Contracts;
using TorchSharp;

namespace QueueMaaS.Training.Running;

/// <summary>Decides whether a training computes its products in bfloat16.</summary>
internal static class HalfPrecision
{
    // Intel's and AMD's manuals, CPUID leaf 7: AVX512_BF16 is bit 5 of EAX in sub-leaf 1, AMX-BF16 bit 22 of EDX in sub-leaf 0.
    private const int Leaf = 7;
    private const int Avx512Bit = 1 << 5;
    private const int AmxBit = 1 << 22;

    /// <summary>True where this device has instructions for such products: every CUDA device that TorchSharp runs on, and newer server processors.</summary>
    public static bool PaysOn(torch.Device device) => device.type == DeviceType.CUDA || OnProcessor();

    /// <summary>Whether to compute in bfloat16.</summary>
    public static bool Of(TrainingPrecision precision, torch.Device device) =>
        precision == TrainingPrecision.Bfloat16 || (precision == TrainingPrecision.Fastest && PaysOn(device));

    private static bool OnProcessor()
    {
        if (!X86Base.IsSupported || X86Base.CpuId(0, 0).Eax < Leaf || !Avx512F.IsSupported)
            return false;
        return (X86Base.CpuId(Leaf, 1).Eax & Avx512Bit) != 0 || (X86Base.CpuId(Leaf, 0).Edx & AmxBit) != 0;
    }
}
