# Toy models: train each cell once, measure the models of each curve, and gather the measurements. With the engines numba
# and plain, a job trains one model on one thread; with torch, all models of one law, n, m and density as one stack.

TOY_CELLS = distinct_cells(config["toy"])
TOY_CURVES = cells_by_curve(config["toy"])
# A figure is drawn, reported and put on the overview only if the config trains the models that it needs.
DRAWINGS = drawn(read_drawings(ROOT / "workflow" / "figures.yaml"), TOY_CELLS.values())
TOY_TABLES = ["toy_models", "toy_curves", "toy_features"]


rule toy:
    input:
        expand("results/tables/{table}.csv", table=TOY_TABLES),


for stage, cells in training_stages(config["toy"]).items():

    rule:
        name:
            f"stage_{stage}"
        input:
            [f"results/toy/models/{cell.name}.safetensors" for cell in cells],


if config["toy"]["engine"] != "torch":

    rule train_model:
        output:
            "results/toy/models/{model}.safetensors",
        log:
            "logs/toy/models/{model}.log",
        benchmark:
            "logs/toy/models/{model}.benchmark.tsv"
        wildcard_constraints:
            model=r".+/m\d+_seed\d+",
        conda:
            "../envs/scaling.yaml"
        resources:
            mem_mb=lambda wildcards: training_memory(asked(TOY_CELLS, wildcards.model, "model")),
            runtime=lambda wildcards: training_minutes(
                asked(TOY_CELLS, wildcards.model, "model"), config["toy"]
            ),
        params:
            engine=config["toy"]["engine"],
            arguments=lambda wildcards: shlex.join(
                training_arguments([asked(TOY_CELLS, wildcards.model, "model")], config["toy"])
            ),
            source=source_fingerprint(
                "toy/training",
                *(["toy/engines/plain_engine"] if config["toy"]["engine"] == "plain" else []),
            ),
        shell:
            "python -m scaling.toy.training --engine {params.engine} {params.arguments}"
            " --folder results/toy/models > {log} 2>&1"

else:

    for stack, cells in stacks(config["toy"]).items():

        rule:
            name:
                f"train_{stack}"
            output:
                [f"results/toy/models/{cell.name}.safetensors" for cell in cells],
            log:
                f"logs/toy/stacks/{stack}.log",
            conda:
                "../envs/scaling.yaml"
            resources:
                gpu=1,
                mem_mb=8000,
                runtime=120,
            params:
                arguments=shlex.join(training_arguments(cells, config["toy"])),
                source=source_fingerprint("toy/training", "toy/engines/torch_engine"),
            shell:
                "python -m scaling.toy.training --engine torch {params.arguments}"
                " --folder results/toy/models > {log} 2>&1"


rule measure_models:
    input:
        lambda wildcards: [
            f"results/toy/models/{cell.name}.safetensors"
            for cell in asked(TOY_CURVES, wildcards.curve, "curve")
        ],
    output:
        "results/toy/measured/{curve}.jsonl",
    log:
        "logs/toy/measured/{curve}.log",
    wildcard_constraints:
        curve=r".+/gamma[^/]+",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=lambda wildcards: measurement_memory(asked(TOY_CURVES, wildcards.curve, "curve")),
        runtime=60,
    params:
        models=lambda wildcards: [cell.name for cell in asked(TOY_CURVES, wildcards.curve, "curve")],
        samples=config["toy"]["held_out_samples"],
        source=source_fingerprint("toy/measurement"),
    shell:
        "python -m scaling.toy.measurement --folder results/toy/models --models {params.models}"
        " --samples {params.samples} --output {output} > {log} 2>&1"


rule collect_models:
    input:
        models=expand("results/toy/models/{model}.safetensors", model=TOY_CELLS),
        measured=expand("results/toy/measured/{curve}.jsonl", curve=TOY_CURVES),
    output:
        expand("results/tables/{table}.csv", table=TOY_TABLES),
    log:
        "logs/toy/collect_models.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        study=json.dumps(config["toy"]),
        source=source_fingerprint("toy/collect"),
    shell:
        "python -m scaling.toy.collect --study {params.study:q} --folder results/toy/models"
        " --measured results/toy/measured --output results/tables > {log} 2>&1"
