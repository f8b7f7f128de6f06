using System.Reflection;

namespace QueueMaaS.Unit.Tests;

/// <summary>Dependencies point inwards: contracts ← jobs ← (inference, training, storage, messaging) ← api, program.</summary>
public sealed class ArchitectureTests
{
    [Theory]
    [InlineData("QueueMaaS.Contracts", "")]
    [InlineData("QueueMaaS.Onnx", "QueueMaaS.Contracts")]
    [InlineData("QueueMaaS.Data", "QueueMaaS.Contracts")]
    [InlineData("QueueMaaS.Jobs", "QueueMaaS.Contracts")]
    [InlineData("QueueMaaS.Client", "QueueMaaS.Contracts")]
    [InlineData("QueueMaaS.Inference", "QueueMaaS.Contracts QueueMaaS.Jobs QueueMaaS.Onnx QueueMaaS.Data")]
    [InlineData("QueueMaaS.Training", "QueueMaaS.Contracts QueueMaaS.Jobs QueueMaaS.Onnx QueueMaaS.Data")]
    [InlineData("QueueMaaS.Storage", "QueueMaaS.Contracts QueueMaaS.Jobs")]
    [InlineData("QueueMaaS.Messaging", "QueueMaaS.Contracts QueueMaaS.Jobs")]
    [InlineData("QueueMaaS.Api", "QueueMaaS.Contracts QueueMaaS.Jobs QueueMaaS.Data QueueMaaS.Inference")]
    [InlineData("QueueMaaS.OpenInference", "QueueMaaS.Contracts QueueMaaS.Jobs QueueMaaS.Inference")]
    public void A_project_refers_only_inwards(string project, string allowed)
    {
        var refers = Assembly.Load(project).GetReferencedAssemblies().Select(name => name.Name!).Where(name => name.StartsWith("QueueMaaS", StringComparison.Ordinal));
        refers.Except(allowed.Split(' ', StringSplitOptions.RemoveEmptyEntries)).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("QueueMaaS.Jobs", "MassTransit RabbitMQ.Client Microsoft.EntityFrameworkCore StackExchange.Redis TorchSharp Microsoft.ML.OnnxRuntime")]
    [InlineData("QueueMaaS.Inference", "MassTransit RabbitMQ.Client Microsoft.EntityFrameworkCore StackExchange.Redis TorchSharp")]
    [InlineData("QueueMaaS.Training", "MassTransit RabbitMQ.Client Microsoft.EntityFrameworkCore StackExchange.Redis")]
    [InlineData("QueueMaaS.Messaging", "Microsoft.EntityFrameworkCore StackExchange.Redis TorchSharp Microsoft.ML.OnnxRuntime")]
    [InlineData("QueueMaaS.Storage", "MassTransit RabbitMQ.Client TorchSharp Microsoft.ML.OnnxRuntime")]
    [InlineData("QueueMaaS.Api", "MassTransit RabbitMQ.Client Microsoft.EntityFrameworkCore StackExchange.Redis TorchSharp")]
    public void A_project_does_not_know_the_technology_of_another(string project, string forbidden)
    {
        var types = NetArchTest.Rules.Types.InAssembly(Assembly.Load(project));
        var result = types.ShouldNot().HaveDependencyOnAny(forbidden.Split(' ')).GetResult();
        (result.FailingTypeNames ?? []).ShouldBeEmpty();
    }
}
