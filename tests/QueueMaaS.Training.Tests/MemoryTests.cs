using QueueMaaS.Contracts;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Tests;

/// <summary>Alone in the process: what is measured is the memory of all of it.</summary>
[CollectionDefinition("alone", DisableParallelization = true)]
public sealed class AloneCollection;

[Collection("alone")]
public sealed class MemoryTests
{
    [Fact]
    public void A_thousand_steps_take_no_more_memory_than_a_hundred()
    {
        long after100 = 0, after1000 = 0;
        var plan = Samples.Plan(Samples.Images(64), TrainingSettings.From(Samples.Input with { Epochs = 260, BatchSize = 16, Optimization = new() { AverageDecay = 0.99, ClipNorm = 1 } }));
        using var model = new Trainer().Train(plan, new()
        {
            AfterStep = done =>
            {
                if (done == 100)
                    after100 = Memory();
                else if (done == 1000)
                    after1000 = Memory();
            },
        }).Model;
        (after1000 - after100).ShouldBeLessThan(24L << 20);
    }

    private static long Memory()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        using var process = System.Diagnostics.Process.GetCurrentProcess();
        return process.WorkingSet64;
    }
}
