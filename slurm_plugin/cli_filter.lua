-- Preflight at submit: what --require asks becomes a constraint, so that Slurm picks only nodes that fit.
--
-- It calls `preflight require`, which knows the language; none of it is known here. A preflight that is missing, slow
-- or broken gives a warning and the job goes through: the prolog verifies it all the same.
--
-- slurm.conf:  CliFilterPlugins=cli_filter/lua     and this file as cli_filter.lua beside slurm.conf. A site that has one
-- of its own: see "Beside a cli_filter.lua of your own" in docs/placement.md.

preflight = preflight or {}
preflight.program = preflight.program or "/opt/preflight/bin/preflight"
preflight.to = preflight.to or "constraint" -- "extra" where SchedulerParameters has extra_constraints
preflight.limit_s = preflight.limit_s or 3

-- Text as one word of sh.
local function word(text)
    return "'" .. string.gsub(text, "'", "'\\''") .. "'"
end

-- Return the requirement that was given to this command, or nil.
local function asked(options)
    local ok, text = pcall(function() return options.spank.preflight.require end)
    if ok and type(text) == "string" and text ~= "" then
        return text
    end
    return nil
end

-- Return whether this is an srun in a job, or one with --jobid: a step, whose nodes are chosen already. It has the
-- job's own --require from its environment; the job's constraint would be asked of the step, and may refuse it.
local function is_step(options)
    return options.type == "srun" and tonumber(options.jobid) ~= nil
end

-- Return what the job asks of GPUs, as one more argument of the program; "" unless it names MIG devices (3g.40gb), which
-- are not placed by what nodes publish of whole GPUs.
local function gres_of(options)
    local named = {}
    for _, name in ipairs({ "gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket", "tres-per-task" }) do
        local ok, text = pcall(function() return options[name] end)
        if ok and type(text) == "string" and string.match(text, "%dg%.%d+gb") then
            table.insert(named, text)
        end
    end
    return #named > 0 and " " .. word("--gres=" .. table.concat(named, ",")) or ""
end

-- Return what the program printed, its warnings and its exit status; nil where it could not be run.
local function compiled(text, own, gres)
    local mark = "preflight-status="
    -- A user's SHELLOPTS=xtrace would put the shell's own lines among the answer's.
    local command = "{ set +x; } 2>/dev/null; exec 2>&1 </dev/null; timeout -k 1 " .. preflight.limit_s .. " "
        .. word(preflight.program) .. " require --to " .. word(preflight.to) .. " " .. word("--with=" .. own) .. gres .. " -- " .. word(text)
        .. "; echo " .. mark .. "$?"
    local pipe = io.popen(command, "r")
    if not pipe then
        return nil
    end
    local said = pipe:read("*a") or ""
    pipe:close()
    local lines, status = {}, nil
    for line in string.gmatch(said, "[^\n]+") do
        local code = string.match(line, "^" .. "preflight%-status=(%d+)$")
        if code then
            status = tonumber(code)
        else
            table.insert(lines, line)
        end
    end
    return lines, status
end

local function warn(text)
    slurm.log_info("preflight: %s", text)
end

-- What was set for the component before, and what had been there: of a heterogeneous job's options Slurm carries
-- some (extra) over to the next component, and ours must not be asked of that one.
local last = {}

-- Add to the job's constraint what --require asks; never refuses a job.
function preflight.pre_submit(options)
    local text = asked(options)
    if not text or is_step(options) then
        return
    end
    local own = options[preflight.to]
    if preflight.to == "extra" and own and own == last.set then
        own = last.own
        -- Slurm takes no empty extra, and nothing unsets it: what every node that has published meets.
        options[preflight.to] = own or "cpus>=0"
    end
    local lines, status = compiled(text, type(own) == "string" and own or "", gres_of(options))
    if not lines or (status ~= 0 and status ~= 3) or #lines == 0 then
        local why = status == 124 and "did not answer in time" or "could not be asked"
        warn(preflight.program .. " " .. why .. ": the job is not placed by --require, the prolog verifies it")
        return
    end
    -- The last line is the answer, none where nothing can be asked; the others say what Slurm cannot be asked, which
    -- the prolog says as well.
    local answer = nil
    if not string.match(lines[#lines], "^preflight: ") then
        answer = table.remove(lines)
    end
    for _, line in ipairs(lines) do
        if string.match(line, "^preflight: no node fits") then
            slurm.log_error("%s", line) -- Slurm refuses the job
        elseif string.match(line, ": no node publishes [%w._]+$") then
            slurm.log_info("%s", line) -- it goes through, and is not placed by this
        else
            slurm.log_verbose("%s", line)
        end
    end
    if answer and answer ~= own then
        options[preflight.to] = answer
        last = { set = answer, own = own }
    end
end

-- What Slurm calls; a site's own file, loaded before or after this one, replaces or wraps them.
function slurm_cli_setup_defaults(options, early_pass)
    return slurm.SUCCESS
end

function slurm_cli_pre_submit(options, pack_offset)
    local ok, problem = pcall(preflight.pre_submit, options)
    if not ok then
        warn("cli_filter.lua: " .. tostring(problem))
    end
    return slurm.SUCCESS
end

function slurm_cli_post_submit(offset, job_id, step_id)
    return slurm.SUCCESS
end

return preflight
