using System.Globalization;
using QueueMaaS.TrainingBench;

// dotnet run -c Release --project bench/QueueMaaS.TrainingBench -- speed cnn-small|resnet-18 [seconds per turn]
// dotnet run -c Release --project bench/QueueMaaS.TrainingBench -- decode ZIP
// dotnet run -c Release --project bench/QueueMaaS.TrainingBench -- accuracy ZIP [epochs] [seeds]
// dotnet run -c Release --project bench/QueueMaaS.TrainingBench -- share [seconds per turn]
// dotnet run -c Release --project bench/QueueMaaS.TrainingBench -- recipe cifar-best ZIP ['{"epochs": 4}']
// The PyTorch rows: bench/pytorch/train.py, which prints the same.
double Number(int index, double byDefault) => args.Length > index ? double.Parse(args[index], CultureInfo.InvariantCulture) : byDefault;
switch (args)
{
    case ["speed", var network, ..]:
        StepSpeed.Run(network, Number(2, 10));
        return 0;
    case ["decode", var zip]:
        DecodeSpeed.Run(zip);
        return 0;
    case ["accuracy", var zip, ..]:
        Accuracy.Run(zip, (int)Number(2, 10), (int)Number(3, 3));
        return 0;
    case ["recipe", var recipe, var zip, ..]:
        RecipeRun.Run(recipe, zip, args.Length > 3 ? args[3] : "{}");
        return 0;
    case ["share", ..]:
        await SharedMachine.RunAsync(Number(1, 10));
        return 0;
    default:
        Console.Error.WriteLine("speed cnn-small|resnet-18 [seconds], decode ZIP, accuracy ZIP [epochs] [seeds], recipe NAME ZIP [JSON], share [seconds]");
        return 1;
}
